"""Train a model: data and a loss -> gradients -> changed tensors.

In reading order, in which a file imports only those before it:

- columns: rows -> texts in the order of a loss, and labels
- examples: a file or Python's rows -> checked examples on disk
- order: numbers of the examples of each batch, by seed and step
- loader: InputExample and DataLoader, as sentence-transformers' scripts use them
- losses/: vectors of a batch -> a loss and its gradients by the vectors, one file a kind
- optimizers: AdamW in both forms, the weight decay of each tensor, clipping
- schedules: the learning rate of each step
- packs: packs of whole examples
- sums: gradients, summed over packs in an order of their own
- recipe: numbers of a run, which decide its result
- trainable: a model as the loop sees it
- batches: batches of a run by their number, and the loss that is trained on them
- checkpoints: folder of a run: its checkpoints, its log, and at the end the model
- fit: the loop
"""

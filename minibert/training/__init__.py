"""Training: losses, gradients, optimizers and the loop. It takes a model by a Protocol.

- `start`, `fit`: data, a loss and numbers -> a trained model; the loop, a step after another
- `reference_fit`: the same loop for SentenceTransformer.fit, under the reference's names
- `trainable`: a model as the loop sees it
- `losses/`: vectors of a batch -> a loss and its gradients by the vectors, one file a kind
- `examples`: a file or Python's rows -> checked examples on disk
- `columns`: rows -> texts in the order of a loss, and labels
- `order`, `batches`: examples of each batch, by seed and step
- `loader`: InputExample and DataLoader, as sentence-transformers' scripts use them
- `packs`, `sums`: packs of whole examples, and the sums of their gradients
- `optimizers`, `schedules`: gradients -> changed tensors; the learning rate of each step
- `checkpoints`: folder of a run, from which it goes on
- `model_card`: README.md of a trained model
"""

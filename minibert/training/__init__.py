"""Training: examples -> batches -> a loss, its gradients, and a step of an optimizer.

It takes a model by a Protocol, and evaluation as a callable. In reading order:

- trainable.py: the protocol of a model that is trained
- examples.py: a file, or rows of a program -> checked examples on disk
- columns.py: rows -> texts in the order of a loss, and labels
- order.py: numbers of the examples of each batch, by seed and step
- loader.py: InputExample and DataLoader, as scripts for sentence-transformers use them
- losses/: vectors of a batch -> a loss and its gradients by the vectors, a file for each kind
- packs.py: packs of whole examples
- sums.py: gradients of packs, summed in one order
"""

"""Training: losses, gradients, optimizers and the loop. It takes a model by a Protocol.

- `losses/`: vectors of a batch -> a loss and its gradients by the vectors, one file a kind
- `examples`: a file or Python's rows -> checked examples on disk
- `columns`: rows -> texts in the order of a loss, and labels
- `order`: numbers of the examples of each batch, by seed and step
- `loader`: InputExample and DataLoader, as sentence-transformers' scripts use them
"""

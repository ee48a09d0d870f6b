"""Train a model.

- `examples`: a file or Python's rows -> checked examples on disk
- `columns`: rows -> texts in the order of a loss, and labels
- `order`: numbers of the examples of each batch, by seed and step
- `loader`: InputExample and DataLoader, as sentence-transformers' scripts use them
"""

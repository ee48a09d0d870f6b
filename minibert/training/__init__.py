"""Training: losses, gradients, optimizers and the loop. It takes a model by a Protocol.

- losses/: vectors of a batch -> a loss and its gradients by the vectors, one file a kind
"""

"""Gradients -> changed weights: how a model is trained.

- `optimizers`: AdamW in both forms, the weight decay of each tensor, clipping; start at AdamW.step
- `schedules`: the learning rate of each step
"""

"""Random numbers to compute with."""

import numpy as np


def numbers(shape, seed=0, scale=3.0, shift=1.0):
    return np.random.default_rng(seed).normal(shift, scale, shape).astype(np.float32)

"""Codes of one bit, compared where rounding cannot have turned a sign."""

import numpy as np


def assert_same_bits(ours, theirs, vectors, rounding):
    """Bits may differ for numbers that are 0 but for their rounding; vectors (n, D) has them."""
    differ = np.unpackbits(ours.view(np.uint8) ^ theirs.view(np.uint8), axis=1)
    differ = differ[:, : vectors.shape[1]].astype(bool)
    assert not (differ & (np.abs(vectors) > rounding)).any()

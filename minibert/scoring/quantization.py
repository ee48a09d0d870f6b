"""float32 vectors -> codes of one byte or one bit per number. No files."""

from __future__ import annotations

import logging
from typing import Any, Literal, TypeAlias, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minibert.common.arguments import check_choice
from minibert.common.arrays import Array, as_array

__all__ = [
    "STORED_DTYPES",
    "Codes",
    "Precision",
    "check_precision",
    "code_shape",
    "quantize_embeddings",
    "ranges_of",
]

logger = logging.getLogger(__name__)

Precision: TypeAlias = Literal["float32", "int8", "uint8", "binary", "ubinary"]
Codes: TypeAlias = NDArray[np.int8] | NDArray[np.uint8]

# A precision -> the dtype of its codes.
CODES: dict[str, type[np.generic]] = {
    "float32": np.float32,
    "int8": np.int8,
    "uint8": np.uint8,
    "binary": np.int8,
    "ubinary": np.uint8,
}
# A precision of vectors on disk -> their dtype there; "binary" is one bit per number.
STORED_DTYPES = {"float32": "float32", "float16": "float16", "int8": "int8", "binary": "int8"}
FEW = 100  # with fewer vectors than these, their ranges say little of others


@overload
def quantize_embeddings(
    embeddings: Array,
    precision: Literal["float32"],
    ranges: ArrayLike | None = None,
    calibration_embeddings: ArrayLike | None = None,
) -> Array: ...
@overload
def quantize_embeddings(
    embeddings: Array,
    precision: Literal["int8", "binary"],
    ranges: ArrayLike | None = None,
    calibration_embeddings: ArrayLike | None = None,
) -> NDArray[np.int8]: ...
@overload
def quantize_embeddings(
    embeddings: Array,
    precision: Literal["uint8", "ubinary"],
    ranges: ArrayLike | None = None,
    calibration_embeddings: ArrayLike | None = None,
) -> NDArray[np.uint8]: ...
@overload
def quantize_embeddings(
    embeddings: ArrayLike,
    precision: Precision,
    ranges: ArrayLike | None = None,
    calibration_embeddings: ArrayLike | None = None,
) -> Array | Codes | list[Array] | list[Codes]: ...
def quantize_embeddings(
    embeddings: ArrayLike,
    precision: Precision,
    ranges: ArrayLike | None = None,
    calibration_embeddings: ArrayLike | None = None,
) -> Any:  # of an array an array, of a list of matrices a list: see the overloads
    """Turn vectors into codes: (n, D) -> (n, D) of int8 or uint8, or (n, ceil(D/8)) packed bits.

    int8 and uint8 divide the range of each dimension into 255 steps and round down: code 0 (-128)
    is the minimum, 254 or 255 (127) the maximum, and numbers outside are clipped. `ranges` (2, D)
    are minima and maxima; without them, those of `calibration_embeddings` (m, D) are taken, else
    those of the vectors themselves. ubinary and binary keep one bit, 1 for a number above 0, the
    first dimension in the highest bit; binary subtracts 128 from each byte. A list of matrices
    gives a list, all with the same ranges.

    Raises ValueError for one vector without ranges, for codes or NaN instead of vectors, for ranges
    of another dimension, and for another precision.
    """
    check_precision(precision)
    if isinstance(embeddings, list) and embeddings and np.ndim(embeddings[0]) == 2:
        matrices = [as_vectors(matrix) for matrix in embeddings]
        if precision in ("int8", "uint8") and ranges is None:
            pooled = np.concatenate(matrices)
            ranges = ranges_of(pooled, precision, calibration_embeddings) if len(pooled) else None
        return [quantize_embeddings(matrix, precision, ranges) for matrix in matrices]
    if isinstance(embeddings, list) and not embeddings:
        return []  # the reference's answer; of no vectors the dimension is not known
    vectors = as_vectors(embeddings)
    if vectors.ndim == 2 and len(vectors) == 0:
        return np.zeros((0, code_shape(vectors.shape[1], precision)), dtype=CODES[precision])
    if precision == "float32":
        return vectors.astype(np.float32)
    if precision in ("int8", "uint8"):
        if ranges is None:
            ranges = ranges_of(vectors, precision, calibration_embeddings)
        codes = steps_up(vectors, checked_ranges(ranges, vectors.shape[-1]))
        return codes.astype(np.uint8) if precision == "uint8" else (codes - 128).astype(np.int8)
    bits = np.packbits(vectors > 0, axis=-1)
    return bits if precision == "ubinary" else (bits - 128).astype(np.int8)


def dequantize_embeddings(
    codes: NDArray[Any], precision: str, dimension: int, ranges: ArrayLike | None = None
) -> Array:
    """Turn codes back into vectors: (n, W) -> (n, D) of float32.

    A code of int8 or uint8 stands for the middle of its step in `ranges` (2, D), the highest
    for the maximum; a bit for its sign, 1 or -1.

    Raises ValueError for int8 and uint8 without ranges, and for another precision.
    """
    check_precision(precision)
    if precision == "float32":
        return codes.astype(np.float32, copy=False)
    if precision in ("binary", "ubinary"):
        bits = np.unpackbits(packed_bits(codes, precision), axis=-1, count=dimension)
        return bits.astype(np.float32) * 2 - 1
    if ranges is None:
        raise ValueError(
            f"Codes of {precision} stand for nothing without their ranges=. Give the ranges that "
            "they were made with."
        )
    low, high = checked_ranges(ranges, dimension)
    steps = codes.astype(np.float32)
    steps += 128.5 if precision == "int8" else 0.5
    np.minimum(steps, 255, out=steps)
    steps *= (high - low) / 255
    steps += low
    return steps


def packed_bits(codes: NDArray[Any], precision: str) -> NDArray[Any]:
    """Return codes with those of "binary" as plain bits: without the 128 that it subtracts."""
    return codes.view(np.uint8) ^ np.uint8(128) if precision == "binary" else codes


def check_precision(precision: object) -> None:
    """Raise ValueError for a name that is not in Precision."""
    check_choice("precision", precision, get_args(Precision))


def code_shape(dimension: int, precision: str) -> int:
    """Return the number of codes of a vector of `dimension` numbers."""
    return (dimension + 7) // 8 if precision in ("binary", "ubinary") else dimension


def as_vectors(embeddings: ArrayLike) -> Array:
    """Convert vectors to an array. Raises ValueError for numbers that have no code."""
    vectors = as_array(embeddings)
    if vectors.dtype.kind != "f":
        found = "no vectors" if vectors.dtype == object else str(vectors.dtype)
        raise ValueError(f"The embeddings are {found}; expected floats, not codes.")
    if not np.isfinite(vectors).all():
        raise ValueError("The embeddings hold NaN or infinity, which have no code.")
    return vectors


def ranges_of(vectors: Array, precision: str, calibration: ArrayLike | None) -> NDArray[Any]:
    """Find the minimum and the maximum of each dimension: (n, D) -> (2, D).

    With `calibration`, take the vectors in it instead. Raises ValueError for fewer than two.
    """
    if calibration is not None:
        vectors = as_vectors(calibration)
        if vectors.ndim != 2 or len(vectors) < 2:
            raise ValueError(
                f"calibration_embeddings has the shape {vectors.shape}; expected (m, D), of two "
                "vectors at least."
            )
    elif vectors.ndim == 1 or len(vectors) == 1:
        raise ValueError(
            f"One vector has no ranges for {precision}. Give ranges= or calibration_embeddings= "
            "to quantize_embeddings(), of vectors like those to come."
        )
    elif len(vectors) < FEW:
        logger.warning(
            "The ranges for %s are those of %d vectors only; give ranges or calibration_embeddings "
            "of more.",
            precision,
            len(vectors),
        )
    return np.vstack((np.min(vectors, axis=0), np.max(vectors, axis=0)))


def checked_ranges(ranges: ArrayLike, dimension: int) -> NDArray[Any]:
    """Convert minima and maxima to float32, (2, D). Raises ValueError for others."""
    limits = np.asarray(ranges, dtype=np.float32)
    if limits.shape != (2, dimension):
        raise ValueError(
            f"The ranges have the shape {limits.shape}; expected (2, {dimension}), the minimum and "
            "the maximum of each dimension."
        )
    if not (limits[0] <= limits[1]).all():  # NaN is refused, too
        wrong = int(np.flatnonzero(~(limits[0] <= limits[1]))[0])
        low, high = limits[:, wrong].tolist()
        raise ValueError(f"The range of dimension {wrong} is {low} to {high}.")
    return limits


def steps_up(vectors: Array, ranges: NDArray[Any]) -> Array:
    """Count the whole steps of each number above its minimum, 0 to 255: -> the same shape."""
    starts = ranges[0]
    steps = (ranges[1] - starts) / 255
    steps = np.where(steps == 0, 1, steps)  # a dimension that never changes
    codes: Array = np.clip(np.floor((vectors - starts) / steps), 0, 255)
    return codes

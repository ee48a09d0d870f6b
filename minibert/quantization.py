"""Names of sentence-transformers' `quantization` that minibert has, defined elsewhere."""

from minibert.scoring.quantization import quantize_embeddings

__all__ = ["quantize_embeddings"]

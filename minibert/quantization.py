"""sentence-transformers' `quantization`, as far as minibert has it: names defined elsewhere."""

from minibert.scoring.quantization import quantize_embeddings

__all__ = ["quantize_embeddings"]

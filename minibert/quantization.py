"""Names of sentence-transformers' `quantization` that minibert has, defined elsewhere."""

from minibert.scoring.quantization import quantize_embeddings
from minibert.scoring.usearch_search import semantic_search_usearch

__all__ = ["quantize_embeddings", "semantic_search_usearch"]

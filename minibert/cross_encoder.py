"""Names of sentence-transformers' `cross_encoder` that minibert has, defined elsewhere."""

from minibert.models.cross_encoder import CrossEncoder

__all__ = ["CrossEncoder"]

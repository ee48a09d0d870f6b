"""sentence-transformers' `cross_encoder`, as far as minibert has it: names defined elsewhere."""

from minibert.models.cross_encoder import CrossEncoder

__all__ = ["CrossEncoder"]

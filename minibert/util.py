"""sentence-transformers' `util`, as far as minibert has it: names defined elsewhere, no more."""

from minibert.scores import cos_sim, dot_score

__all__ = ["cos_sim", "dot_score"]

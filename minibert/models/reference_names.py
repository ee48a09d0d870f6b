"""Methods that our two classes have for programs of sentence-transformers alone.

Each is short, and passes on to a method under minibert's own name.
"""

from __future__ import annotations

import os
from typing import Any

from minibert.models.model import Model

__all__ = ["ReferenceNames"]


class ReferenceNames(Model):
    """A Model with further names of the reference's classes."""

    save_pretrained: Any  # writes the model's folder; of the class

    def get_max_seq_length(self) -> int:
        """Return max_seq_length."""
        return self.max_seq_length

    def save(self, path: str | os.PathLike[str]) -> None:
        """Older name of save_pretrained()."""
        self.save_pretrained(path)

"""EncodeJob: all that one call of encode or predict decides, made once, after the checks.

No model and no texts. The job goes down the path as it is, and to the processes of a pool.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from minibert.tokens.truncation import OnLong

__all__ = ["EncodeJob", "OutputValue"]

# What encode gives: a vector a text, the states of its tokens, or all in a dict.
OutputValue: TypeAlias = Literal["sentence_embedding", "token_embeddings"] | None


@dataclass(frozen=True)
class EncodeJob:
    """The choices of one call, with what follows from them and the model."""

    texts: int  # how many there are in all; 0 where others come in other calls
    max_tokens: int | None  # the most tokens of a text; None cuts none
    prompt: str = ""  # goes before each text
    prompt_tokens: int = 0  # how many tokens it takes at the beginning of a text, with [CLS]
    dimension: int = 0  # how many dimensions of a vector are kept
    normalize: bool = False
    on_long: OnLong = "warn"
    pack_tokens: int | None = None  # of one forward pass; None is what suits the device
    batch_size: int | None = None  # texts of one forward pass

    def is_all(self, texts: int) -> bool:
        """True where so many texts are all that there are: only then a lone pack is worth more."""
        return texts == self.texts

    def for_a_part(self) -> EncodeJob:
        """The same for some of the texts, where others come in other calls."""
        return replace(self, texts=0)

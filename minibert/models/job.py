"""EncodeJob: the settings of one call of encode or predict, made once, after the checks.

No model and no texts. The job goes unchanged down the path, and to the processes of a pool.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from minibert.tokens.truncation import OnLong

__all__ = ["EncodeJob", "OutputValue"]

# Selects the results of encode: a vector for each text, the states of its tokens, or a dict of all.
OutputValue: TypeAlias = Literal["sentence_embedding", "token_embeddings"] | None


@dataclass(frozen=True)
class EncodeJob:
    """Settings of one call, and the limits that follow from them and the model."""

    texts: int  # number of all texts; 0 where others come in other calls
    max_tokens: int | None  # maximum length of a text in tokens; None truncates no text
    prompt: str = ""  # goes before each text
    prompt_tokens: int = 0  # number of tokens of [CLS] and the prompt
    dimension: int = 0  # number of dimensions of a vector that are kept
    normalize: bool = False  # whether vectors get the length 1
    on_long: OnLong = "warn"  # for texts above `max_tokens`
    pack_tokens: int | None = None  # maximum of one forward pass; None is the device's default
    batch_size: int | None = None  # maximum number of texts of one forward pass

    def is_all(self, texts: int) -> bool:
        """Return whether `texts` are all texts: only then a lone pack gets all threads."""
        return texts == self.texts

    def for_a_part(self) -> EncodeJob:
        """Return the job for some of the texts, where others come in other calls."""
        return replace(self, texts=0)

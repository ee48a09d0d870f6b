"""Truncation of texts above the limit: its modes, the lengths of a pair, the report."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal, get_args

from minibert.common.arguments import check_choice

__all__ = ["OnLong", "Truncation", "check_on_long", "truncated_lengths"]

logger = logging.getLogger(__name__)

OnLong = Literal["warn", "error", "ignore", "window"]


def check_on_long(on_long: str) -> None:
    """Raise ValueError for a value that OnLong does not list."""
    check_choice("on_long", on_long, get_args(OnLong))


def truncated_lengths(lengths: list[int], room: int) -> list[int]:
    """Numbers of tokens that a text, or each text of a pair, keeps within `room` tokens.

    `lengths` has one number or two. The longer of two is truncated to the length of the other,
    then both to a half. An odd token goes to the longer one, or to the second of equals. The
    `tokenizers` library does the same ("longest_first").
    """
    if len(lengths) == 1:
        return [min(lengths[0], room)]
    if sum(lengths) <= room:
        return lengths
    swapped = lengths[0] > lengths[1]
    shorter, longer = sorted(lengths)
    longer = shorter if shorter > room else max(shorter, room - shorter)
    if shorter + longer > room:
        shorter, longer = room // 2, room // 2 + room % 2
    return [longer, shorter] if swapped else [shorter, longer]


@dataclass(frozen=True)
class Truncation:
    """Number of texts that lost tokens, and the length of the longest of them before."""

    texts: int = 0  # how many lost tokens
    longest: int = 0  # length of the longest one before truncation
    in_tokens: bool = True  # False: counting would cost too much, so `longest` is in characters

    def __add__(self, other: Truncation) -> Truncation:
        # A text too long to be counted in tokens is longer than any that was.
        if self.in_tokens == other.in_tokens:
            longest, in_tokens = max(self.longest, other.longest), self.in_tokens
        else:
            longest, in_tokens = (other if self.in_tokens else self).longest, False
        return Truncation(self.texts + other.texts, longest, in_tokens)

    def report(self, texts: int, limit: int | None, on_long: OnLong) -> None:
        """Log one warning about truncated texts, or raise ValueError for on_long="error".

        `texts` is the number of all texts, `limit` the maximum length in tokens.
        """
        if not self.texts or on_long in ("ignore", "window"):
            return
        unit = "tokens" if self.in_tokens else "characters"
        if on_long == "error":
            # A refusal comes before all texts are counted.
            raise ValueError(
                f"{self.texts} texts at least are longer than {limit} tokens; the longest has "
                f"{self.longest} {unit}. Split them, or set on_long to warn, ignore or window."
            )
        logger.warning(
            "%d of %d texts were longer than %s tokens and lost their ends; the longest had %d %s.",
            self.texts,
            texts,
            limit,
            self.longest,
            unit,
        )

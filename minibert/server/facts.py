"""Facts: numbers of a request, for the log, the metrics and the headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minibert.server.served import ModelKind

__all__ = ["Facts"]


@dataclass
class Facts:
    """Numbers and names of a request; never a text or a key."""

    model: str | None = None  # its served name
    kind: ModelKind | None = None  # of the model
    texts: int = 0
    tokens: int = 0
    truncated: int = 0  # texts that lost tokens
    tokenize_s: float = 0.0
    queue_s: float = 0.0
    compute_s: float = 0.0

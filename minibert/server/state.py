"""State: all that the requests of one process share. Only the loop changes it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minibert.server.metrics import Metrics
from minibert.server.settings import Settings

if TYPE_CHECKING:
    from minibert.corpus.search import Index
    from minibert.server.core import Core
    from minibert.server.served import ServedModels

__all__ = ["GRACE", "State"]

# Seconds after the signal to end in which requests are still taken: they were on their way.
GRACE = 1.0


@dataclass
class State:
    """A server's settings, its models once they are loaded, and what it is doing."""

    settings: Settings
    models: ServedModels | None = None  # None while they load
    core: Core | None = None
    metrics: Metrics = field(default_factory=Metrics)
    index: Index | None = None  # open corpus, if one is served
    stopping_since: float | None = None  # time.monotonic() of the signal
    body_bytes: int = 0  # of the bodies of requests that have no answer yet
    log: Any = None  # a function that is told of each request's facts

    @property
    def is_loading(self) -> bool:
        """True before the models are there."""
        return self.models is None

    @property
    def is_stopping(self) -> bool:
        """True from the signal to end on."""
        return self.stopping_since is not None

    @property
    def is_refusing(self) -> bool:
        """True from a second after the signal to end on."""
        return self.stopping_since is not None and time.monotonic() - self.stopping_since > GRACE

"""Settings: all options of one server, checked, as plain values that a process can be handed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from minibert.kernels.cores import available_threads

__all__ = ["PACK_TOKENS", "ModelPlace", "Normalize", "Settings"]

Normalize: TypeAlias = Literal["auto", "always", "never"]

PACK_TOKENS = 1024  # of one forward pass on one core
QUEUED_BATCHES = 64  # that wait at most, by default
REQUEST_TOKENS = 300_000  # of one request at most, by default
LARGEST_BODIES = 8  # that have room at the same time


class ModelPlace(NamedTuple):
    """A model to serve."""

    name: str  # clients ask for it by this name
    place: str  # a folder, or a name on the hub


@dataclass(frozen=True)
class Settings:
    """Options of a server. Sizes are in tokens or bytes, times in seconds."""

    models: tuple[ModelPlace, ...]
    aliases: tuple[tuple[str, str], ...] = ()  # another name, and the name that it stands for
    host: str = "127.0.0.1"
    port: int = 8000
    unix_socket: str | None = None  # a path, in place of host and port
    api_keys: tuple[str, ...] = field(default=(), repr=False)  # none: no key is asked for
    max_batch_tokens: int | None = None  # of one computation; None is 1,024 a core
    max_queue_tokens: int | None = None  # that wait; None is 64 batches
    max_request_tokens: int | None = None  # None is 300,000, or the queue's bound if that is less
    max_inputs: int = 2048  # texts of one request
    max_body: int = 32 * 2**20  # bytes
    request_timeout: float = 60.0  # to wait and compute
    receive_timeout: float = 30.0  # from a request's first byte to its last
    shutdown_timeout: float = 30.0  # to finish what is queued
    normalize: Normalize = "auto"  # where a request does not say
    reproducible: bool = False
    accept_token_ids: bool = False
    cors: tuple[str, ...] = ()  # origins of pages that may call
    log: Literal["text", "json"] = "text"
    workers: int = 1  # processes
    corpus: str | None = None  # folder of a corpus to search
    version: str = "unknown"  # of minibert, for /info and /metrics
    # Arguments of every model's constructor: device, dtype, threads, cache_folder ...
    opened_as: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = field(default=(), compare=False)  # to tell at the start

    @property
    def threads(self) -> int:
        """Number of cores of one worker."""
        given = self.opened_as.get("threads")
        return int(given) if given else max(1, available_threads() // self.workers)

    @property
    def batch_tokens(self) -> int:
        """Maximum of the tokens that are computed together."""
        return self.max_batch_tokens or PACK_TOKENS * self.threads

    @property
    def queue_tokens(self) -> int:
        """Maximum of the tokens that wait."""
        return self.max_queue_tokens or QUEUED_BATCHES * self.batch_tokens

    @property
    def request_tokens(self) -> int:
        """Maximum of the tokens of one request."""
        return self.max_request_tokens or min(REQUEST_TOKENS, self.queue_tokens)

    @property
    def bodies_bytes(self) -> int:
        """Maximum of the bytes of all bodies that are being read, or whose requests wait."""
        return LARGEST_BODIES * self.max_body

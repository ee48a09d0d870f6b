"""RequestError: the reason why a request gets no result; a dialect gives it shape and status."""

from __future__ import annotations

from typing import Literal, TypeAlias

from minibert.errors import MinibertError

__all__ = ["BAD_REQUESTS", "STATUSES", "Kind", "RequestError"]

Kind: TypeAlias = Literal[
    "bad_json",
    "body_missing",
    "empty",
    "fault",
    "key",
    "loading",
    "media_type",
    "method",
    "no_corpus",
    "not_finite",
    "overloaded",
    "stopping",
    "timeout",
    "token_ids",
    "too_large",
    "too_long",
    "too_many_inputs",
    "too_many_tokens",
    "unknown_model",
    "unknown_path",
    "validation",
    "wrong_model",
]

# Statuses where a dialect has no other.
STATUSES: dict[Kind, int] = {
    "bad_json": 400,
    "body_missing": 400,
    "empty": 400,
    "token_ids": 400,
    "key": 401,
    "unknown_model": 404,
    "unknown_path": 404,
    "no_corpus": 404,
    "method": 405,
    "too_large": 413,  # the body, in bytes
    "media_type": 415,
    "validation": 422,  # a key of the body has a wrong type or value
    "too_long": 422,  # one text, where it may not be truncated
    "too_many_inputs": 422,
    "too_many_tokens": 422,  # of all texts of a request
    "wrong_model": 424,  # a model of another kind than the route needs
    "overloaded": 429,
    "fault": 500,
    "not_finite": 500,  # NaN in a result, of a damaged model
    "loading": 503,
    "stopping": 503,
    "timeout": 503,
}

# Statuses of dialects that know neither 422 nor 424.
BAD_REQUESTS: dict[Kind, int] = {
    "validation": 400,
    "too_long": 400,
    "too_many_inputs": 400,
    "too_many_tokens": 400,
    "wrong_model": 400,
}


class RequestError(MinibertError, Exception):
    """A request that gets no result. The message is for its client, and may quote its texts."""

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        field: str | None = None,
        retry_after: float | None = None,
        limit: int | None = None,
        given: int | None = None,
    ) -> None:
        """Keep the reason: `field` is the body's key, `retry_after` the seconds to wait.

        `given` is the number that is above the `limit`, for dialects with a sentence of their own.
        """
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.field = field
        self.retry_after = retry_after
        self.limit = limit
        self.given = given

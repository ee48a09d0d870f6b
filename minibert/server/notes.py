"""Notes for the log and the counters: of the models that are served, and of each request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from minibert.server.log import Log, Outcome
from minibert.server.metrics import Metrics

if TYPE_CHECKING:
    from minibert.server.call import Call
    from minibert.server.served import Served, ServedModels
    from minibert.server.settings import Settings

__all__ = ["Note", "descriptions", "noting"]

# Takes a request, the status of its answer, the bytes of its body, and the seconds to its end.
Note: TypeAlias = "Callable[[Call, int, int, float], None]"


def noting(log: Log, metrics: Metrics) -> Note:
    """Return the function that logs and counts a request that has its answer."""

    def note(call: Call, status: int, sent: int, seconds: float) -> None:
        outcome = Outcome(
            call.id,
            call.request.method,
            call.path,
            status,
            seconds,
            sent,
            call.facts,
            call.problem,
        )
        log.request(outcome)
        metrics.note_request(outcome)

    return note


def descriptions(models: ServedModels, settings: Settings) -> list[dict[str, Any]]:
    """Describe what is served, for the log: a message for each model, with its name and kind."""
    found = []
    for served in models.all:
        name, *aliases = models.names_of(served)
        kind, vectors, prompts = served.kind, vectors_of(served, settings), served.prompt_names
        parts = [
            kind,
            *([vectors] if vectors else []),
            *([f"prompts {', '.join(prompts)}"] if prompts else []),
            *([f"also named {', '.join(aliases)}"] if aliases else []),
        ]
        about = {"model": name, "kind": kind, "vectors": vectors, "prompts": prompts}
        message = f"serving {name}: {', '.join(parts)}"
        found.append({"message": message, **about, "aliases": aliases})
    return found


def vectors_of(served: Served, settings: Settings) -> str | None:
    """Describe the vectors of a model where a request does not ask for others; None without any."""
    if served.encoder is None:
        return None
    form = "unit" if served.has_unit_vectors(settings.normalize) else "raw"
    metric = served.encoder.similarity_fn_name
    return f"{form} vectors of {served.encoder.get_embedding_dimension()} numbers, metric {metric}"

"""minibert serve: models -> an HTTP server that clients of other servers can use."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from minibert import __version__
from minibert.commands.command import Command
from minibert.commands.options import (
    MODEL_VARIABLE,
    above_zero,
    add_computation,
    add_hub_options,
    add_several,
    positive,
)
from minibert.common.advice import needing
from minibert.server.environment import origin, pair, port, settings_from_environment, variable_of
from minibert.server.settings import Settings

__all__ = ["COMMAND"]


def add_options(command: argparse.ArgumentParser) -> None:
    add_several(
        command,
        "models",
        "MODEL",
        "a model for embeddings, or a cross-encoder: a folder, a name on the hub, or NAME=FOLDER, "
        f"which clients ask for by NAME (default ${MODEL_VARIABLE}, with commas between several)",
    )
    options = FromEnvironment(command)
    options.add_argument(
        "--alias",
        action="append",
        type=typed(pair),
        metavar="OTHER=NAME",
        help="serve the model NAME under another name, too; NAME:query and NAME:document stand for "
        "the model with that task",
    )
    add_address(options)
    add_keys(options)
    add_limits(options)
    add_answers(options)
    options.add_argument(
        "--log",
        choices=["text", "json"],
        help="the form of the log on stderr, which has a line for each request (default text)",
    )
    options.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="the number of processes; they share the port, the weights and the cores (default 1)",
    )
    add_hub_options(options)
    add_computation(options)
    options.add_argument(
        "--no-short-inputs",
        action="store_true",
        help="make no second copy of the weights, which computes short texts faster on processors "
        "with AVX-512",
    )


def add_address(options: FromEnvironment) -> None:
    """Add the place where the server listens, and the pages that may call it."""
    options.add_argument(
        "--host",
        help="the address to listen at: 127.0.0.1 for this machine alone, 0.0.0.0 for all networks "
        "(default 127.0.0.1)",
    )
    options.add_argument(
        "--port",
        type=typed(port),
        help="the port to listen at; 0 is any free one, which the log names (default 8000)",
    )
    options.add_argument(
        "--unix-socket",
        metavar="PATH",
        help="listen at a socket in a file, in place of a port; the umask decides who may connect",
    )
    options.add_argument(
        "--cors",
        action="append",
        type=typed(origin),
        metavar="ORIGIN",
        help="allow pages of ORIGIN, as https://example.org, to call; * allows all pages",
    )


def add_keys(options: FromEnvironment) -> None:
    """Add the keys that clients must have."""
    options.add_argument(
        "--api-key",
        action="append",
        metavar="KEY",
        help="answer only clients that send KEY, or another one that is given (default: all). "
        "Other users of this machine may see a command's options; a file or the environment hides "
        "the key",
    )
    options.add_argument(
        "--api-key-file",
        metavar="FILE",
        help="a file with such keys, one a line; lines that begin with # are comments",
    )


def add_limits(options: FromEnvironment) -> None:
    """Add the limits of requests, of the queue, and of time."""
    for name, help in (
        ("--max-batch-tokens", "tokens that are computed together (default 1024 a core)"),
        (
            "--max-queue-tokens",
            "tokens that wait; further requests are refused with status 429 (default 64 batches)",
        ),
        (
            "--max-request-tokens",
            "tokens of one request (default 300000, or what may wait if that is less)",
        ),
        ("--max-inputs", "texts of one request (default 2048)"),
        ("--max-body", "bytes of a request's body (default 33554432)"),
    ):
        options.add_argument(name, type=positive, metavar="N", help=f"the maximum of {help}")
    for name, help in (
        ("--request-timeout", "to wait and compute for one request (default 60)"),
        ("--receive-timeout", "to send a request; slower clients are closed (default 30)"),
        (
            "--shutdown-timeout",
            "to finish requests after a signal to end, with exit code 0 (default 30)",
        ),
    ):
        options.add_argument(
            name,
            type=above_zero,
            metavar="SECONDS",
            help=f"the time {help}",
        )


def add_answers(options: FromEnvironment) -> None:
    """Add what answers hold."""
    options.add_argument(
        "--normalize",
        choices=["auto", "always", "never"],
        help="divide vectors by their length where a request does not say: always, never, or auto, "
        "which does so for models whose metric is the cosine (default auto)",
    )
    options.add_argument(
        "--accept-token-ids",
        action="store_true",
        help="take lists of the model's own token ids in place of texts",
    )
    options.add_argument(
        "--corpus",
        metavar="DIR",
        help="search a corpus made by `minibert index build`, at /v1/search and on the page for "
        "browsers; its own model is served, too, if no MODEL made it",
    )


def serve(options: argparse.Namespace) -> None:
    """minibert serve: answer requests until a signal ends the process."""
    settings = settings_of(options)
    with needing("starlette and uvicorn", "minibert serve", "serve"):
        from minibert.server.serving import serve
    serve(settings)


COMMAND = Command(
    serve,
    add_options,
    "Serve models over HTTP, as OpenAI, text-embeddings-inference, Ollama and Cohere do.",
    (
        "minibert serve sentence-transformers/all-MiniLM-L6-v2",
        "minibert serve small=./my-model ./my-cross-encoder --alias text-embedding-3-small=small",
        "MINIBERT_PORT=8080 MINIBERT_MODEL=./my-model minibert serve --log json",
    ),
)


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings that the options name, and the environment where they do not."""
    given = {**vars(options), "model": options.models or None, "offline": options.offline or None}
    return replace(settings_from_environment(os.environ, given), version=__version__)


def typed(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a reader of values for argparse, which shows the messages of one error alone."""

    def value_of(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return value_of


class FromEnvironment:
    """Adds options to a command, and says in their help by which variable each may be set."""

    def __init__(self, command: argparse.ArgumentParser) -> None:
        self._command = command

    def add_argument(self, *names: str, **how: Any) -> argparse.Action:
        """Add an option as argparse does; it is None where it is not given."""
        option = next(name for name in names if name.startswith("--"))
        described = f"{how['help']} [{variable_of(option[2:])}]"
        return self._command.add_argument(*names, **{**how, "help": described, "default": None})

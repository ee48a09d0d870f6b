"""minibert serve: models -> an HTTP server that clients of other servers can use."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from minibert.commands.command import Command
from minibert.commands.environment import FromEnvironment
from minibert.commands.opening import opened_as
from minibert.commands.options import (
    MODEL_VARIABLE,
    above_zero,
    add_computation,
    add_hub_options,
    add_several,
    positive,
)
from minibert.common.advice import needing
from minibert.common.environment import listed

if TYPE_CHECKING:
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
        default=[],
        type=pair,
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
        default="text",
        help="the form of the log on stderr, which has a line for each request (default text)",
    )
    options.add_argument(
        "--workers",
        type=positive,
        default=1,
        metavar="N",
        help="the number of processes; they share the port, the weights and the cores (default 1)",
    )
    add_hub_options(options)
    add_computation(options)
    options.add_argument(
        "--no-short-inputs",
        dest="short_inputs",
        action="store_false",
        help="make no second copy of the weights, which computes short texts faster on processors "
        "with AVX-512",
    )


def add_address(options: FromEnvironment) -> None:
    """Add the place where the server listens, and the pages that may call it."""
    options.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen at: 127.0.0.1 for this machine alone, 0.0.0.0 for all networks "
        "(default 127.0.0.1)",
    )
    options.add_argument(
        "--port",
        type=port,
        default=8000,
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
        default=[],
        metavar="ORIGIN",
        help="allow pages of ORIGIN, as https://example.org, to call; * allows all pages",
    )


def add_keys(options: FromEnvironment) -> None:
    """Add the keys that clients must have."""
    options.add_argument(
        "--api-key",
        action="append",
        default=[],
        metavar="KEY",
        help="answer only clients that send KEY, or another one that is given (default: all). "
        "Other users of this machine may see a command's options; a file or the environment hides "
        "the key",
    )
    options.add_argument(
        "--api-key-file",
        metavar="FILE",
        help="a file with such keys, one a line",
    )


def add_limits(options: FromEnvironment) -> None:
    """Add the limits of requests, of the queue, and of time."""
    for name, default, help in (
        ("--max-batch-tokens", None, "tokens that are computed together (default 1024 a core)"),
        (
            "--max-queue-tokens",
            None,
            "tokens that wait; further requests are refused with status 429 (default 64 batches)",
        ),
        ("--max-request-tokens", 300_000, "tokens of one request (default 300000)"),
        ("--max-inputs", 2048, "texts of one request (default 2048)"),
        ("--max-body", 32 * 2**20, "bytes of a request's body (default 33554432)"),
    ):
        options.add_argument(
            name, type=positive, default=default, metavar="N", help=f"the maximum of {help}"
        )
    for name, limit, help in (
        ("--request-timeout", 60.0, "to wait and compute for one request"),
        ("--receive-timeout", 30.0, "to send a request; slower clients are closed"),
        ("--shutdown-timeout", 30.0, "to finish requests after a signal to end"),
    ):
        options.add_argument(
            name,
            type=above_zero,
            default=limit,
            metavar="SECONDS",
            help=f"the time {help} (default {limit:g})",
        )


def add_answers(options: FromEnvironment) -> None:
    """Add what answers hold."""
    options.add_argument(
        "--normalize",
        choices=["auto", "always", "never"],
        default="auto",
        help="divide vectors by their length where a request does not say: always, never, or for "
        "models whose metric is not the dot product (default auto)",
    )
    options.add_argument(
        "--accept-token-ids",
        action="store_true",
        help="take lists of the model's own token ids in place of texts",
    )
    options.add_argument(
        "--corpus",
        metavar="DIR",
        help="search a corpus made by `minibert index build`, at /v1/search",
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
    """Return the settings that the options name.

    Raises ValueError for options that do not match, OSError for a file of keys that is not there.
    """
    from minibert.server.environment import check_names, keys_of, place_of
    from minibert.server.settings import Settings

    models = [
        place_of(text) for text in options.models or listed(os.environ.get(MODEL_VARIABLE, ""))
    ]
    if not models:
        raise ValueError(f"No model is named: give MODEL, or set {MODEL_VARIABLE}.")
    check_names(models, options.alias)
    return Settings(
        models=tuple(models),
        aliases=tuple(options.alias),
        host=options.host,
        port=options.port,
        unix_socket=options.unix_socket,
        api_keys=keys_of(os.environ, options.api_key, options.api_key_file),
        max_batch_tokens=options.max_batch_tokens,
        max_queue_tokens=options.max_queue_tokens,
        max_request_tokens=options.max_request_tokens,
        max_inputs=options.max_inputs,
        max_body=options.max_body,
        request_timeout=options.request_timeout,
        receive_timeout=options.receive_timeout,
        shutdown_timeout=options.shutdown_timeout,
        normalize=options.normalize,
        reproducible=options.reproducible,
        accept_token_ids=options.accept_token_ids,
        cors=tuple(options.cors),
        log=options.log,
        workers=options.workers,
        corpus=options.corpus,
        opened_as={
            **opened_as(options),
            "revision": options.revision,
            "short_inputs": options.short_inputs,  # a server lives long enough
        },
    )


def pair(text: str) -> tuple[str, str]:
    """Return the two sides of OTHER=NAME, for argparse."""
    other, _, name = text.partition("=")
    if not other or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not OTHER=NAME")
    return other, name


def port(text: str) -> int:
    """Return the number of a port, for argparse."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 65535")
    return int(text)

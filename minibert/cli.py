"""The command line: arguments -> one call -> print. Results on stdout, all else on stderr."""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minibert import __version__, devices
from minibert.devices import available_threads
from minibert.encoder import DEFAULT_MODEL, SentenceTransformer
from minibert.errors import DeviceError, ModelUnavailableError
from minibert.formats import FORMATS, Batch
from minibert.progress import progress

__all__ = ["main"]

# The table of exit codes, one for all commands (after BSD's sysexits.h).
OK, USAGE, BAD_DATA, NO_INPUT, UNAVAILABLE, OUR_FAULT, CANNOT_CREATE, IO_FAILED = (
    *(0, 2, 65, 66, 69, 70, 73, 74),
)
INTERRUPTED, TERMINATED = 130, 143  # what a shell makes of the signals' numbers

CHUNK_TEXTS = 8192  # how many lines are read, embedded and written at a time

DEMO_QUERY = "How many people live in London?"
DEMO_DOCUMENTS = [
    "Around 9 Million people live in London",
    "London is known for its financial district",
]


class OutputError(OSError):
    """An output file that cannot be created."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        options = parse(arguments)
    except SystemExit:  # after --help, too, whoever reads may have gone
        leave_stdout()
        raise
    logging.basicConfig(
        stream=sys.stderr,
        format="minibert: %(message)s",
        level=logging.ERROR if options.quiet else logging.WARNING,
        force=True,
    )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # texts are, whatever the locale says
    with ending_by_sigterm():
        code = attempt(options)
    leave_stdout()
    return code


@contextmanager
def ending_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block like Ctrl-C does: what was half written is removed."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def attempt(options: argparse.Namespace) -> int:
    """Run a command and turn what goes wrong into an exit code."""
    try:
        options.run(options)
        sys.stdout.flush()
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has had enough
        return OK
    except (ModelUnavailableError, DeviceError) as error:
        return failed(error, UNAVAILABLE)
    except OutputError as error:
        return failed(error, CANNOT_CREATE)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        return failed(error, NO_INPUT)
    except OSError as error:
        return failed(error, IO_FAILED)
    except ValueError as error:  # CheckpointError among them
        return failed(error, BAD_DATA)
    except Exception:  # the outermost door: whatever else comes is a fault of ours
        traceback.print_exc()
        return failed(
            "this is a fault in minibert; please report it with the lines above", OUR_FAULT
        )


def leave_stdout() -> None:
    """Flush standard output; if that fails, Python must not try again, aloud, at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def failed(error: object, code: int) -> int:
    """Say on stderr, in a line, what went wrong."""
    print(f"minibert: {error}", file=sys.stderr)
    return code


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command; texts may also stand behind an option."""
    top = parser()
    options, behind = top.parse_known_args(arguments)
    if behind and (not hasattr(options, "texts") or any(text.startswith("-") for text in behind)):
        top.error(f"unrecognized arguments: {' '.join(behind)}")
    if behind:
        options.texts += behind
    return options


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="minibert",
        description="BERT sentence embeddings in NumPy: text in, vectors out.",
        epilog="exit codes: 0 well; 2 usage; 65 bad input data; 66 no such input; 69 not "
        "available (offline and not cached, no GPU); 70 a fault of minibert; 73 cannot create "
        "the output; 74 reading or writing failed; 130 interrupted; 143 terminated",
    )
    top.add_argument("--version", action="version", version=f"minibert {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_embed(commands)
    add_score(commands)
    add_info(commands)
    add_demo(commands)
    return top


def add_command(commands: Any, run: Any, summary: str, *examples: str) -> argparse.ArgumentParser:
    """A command with the options that all have."""
    command: argparse.ArgumentParser = commands.add_parser(
        run.__name__,
        help=summary,
        description=summary,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    command.add_argument("--revision", metavar="NAME", help="branch, tag or commit on the hub")
    command.add_argument("--cache-folder", metavar="DIR", help="where models of the hub are kept")
    command.add_argument("--offline", action="store_true", help="never use the network")
    command.add_argument(
        "--device", type=device_name, default="cpu", help="cpu, or cuda for a GPU (default cpu)"
    )
    command.add_argument(
        "--dtype",
        choices=["float32", "float16"],
        default="float32",
        help="in what a GPU computes; vectors are float32 (default float32)",
    )
    command.add_argument(
        "--threads",
        type=thread_count,
        metavar="N",
        help=f"cores to use (default all of them, {available_threads()} here)",
    )
    command.add_argument(
        "--reproducible",
        action="store_true",
        help="the same bits for a text whatever its neighbours and the number of threads",
    )
    command.add_argument("--quiet", action="store_true", help="no warnings, no progress bar")
    return command


def add_embed(commands: Any) -> None:
    command = add_command(
        commands,
        embed,
        "Turn texts into vectors: the texts given, or each line of files or of standard input.",
        'minibert embed "A dog barks." "A cat sleeps."',
        "minibert embed --file texts.txt --output vectors.npy",
        "head -100 texts.txt | minibert embed --model sentence-transformers/all-MiniLM-L6-v2",
    )
    add_model_and_texts(command, "TEXT")
    command.add_argument("--output", "-o", metavar="FILE", default="-", help="default: stdout")
    command.add_argument(
        "--format",
        choices=list(FORMATS),
        help="jsonl: a text and its vector a line; npy: one matrix (default: by FILE, or jsonl)",
    )
    command.add_argument(
        "--prompt-name", metavar="NAME", help="a prompt of the model's, as 'query'"
    )
    command.add_argument("--prompt", metavar="TEXT", help="goes before every text")
    command.add_argument(
        "--truncate-dim", type=positive, metavar="N", help="keep the first N dimensions"
    )
    command.add_argument(
        "--normalize", action="store_true", help="divide each vector by its length"
    )
    command.add_argument(
        "--precision",
        choices=["float32", "binary", "ubinary"],
        default="float32",
        help="numbers, or a bit a number, eight to an int8 or uint8 (default float32)",
    )
    command.add_argument(
        "--on-long",
        choices=["warn", "error", "ignore", "window"],
        default="warn",
        help="texts above the model's maximum length: cut them and say so, stop, cut them in "
        "silence, or take the mean of windows over all of it",
    )
    command.add_argument(
        "--pack-tokens",
        type=positive,
        metavar="N",
        help="tokens of one forward pass; lower it if memory runs out (default 1024; on a GPU "
        "16384, and halved by itself)",
    )


def add_score(commands: Any) -> None:
    command = add_command(
        commands,
        score,
        "Score texts against a query by the model's own metric, best first.",
        'minibert score "Who barks?" "A dog barks." "A cat sleeps."',
        'minibert score "Who barks?" --file texts.txt --json',
    )
    command.add_argument("query", metavar="QUERY")
    add_model_and_texts(command, "DOC")
    command.add_argument("--json", action="store_true", help="an object a line instead of a table")


def add_info(commands: Any) -> None:
    command = add_command(
        commands,
        info,
        "Tell what a model is: sizes, pooling, metric, maximum length, the weights' sha256.",
        "minibert info sentence-transformers/all-MiniLM-L6-v2",
        "minibert info ./my-model --json",
    )
    command.add_argument("model", metavar="MODEL", help="a folder, or a name on the hub")
    command.add_argument("--json", action="store_true", help="one object instead of a table")


def add_demo(commands: Any) -> None:
    command = add_command(
        commands,
        demo,
        "Rank two texts about London for a question, and say how long it took.",
        "minibert demo",
        "minibert demo --model sentence-transformers/all-MiniLM-L6-v2",
    )
    add_model(command)


def add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        "-m",
        default=DEFAULT_MODEL,
        help=f"a folder, or a name on the hub (default {DEFAULT_MODEL})",
    )


def add_model_and_texts(command: argparse.ArgumentParser, name: str) -> None:
    add_model(command)
    command.add_argument("texts", nargs="*", metavar=name)
    command.add_argument(
        "--file",
        "-f",
        action="append",
        default=[],
        metavar="FILE",
        help=f"read a {name} from each line; - is standard input, also if no {name} is given",
    )


def device_name(text: str) -> str:
    """cpu, cuda or cuda:NUMBER, for argparse."""
    try:
        return devices.device_name(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither cpu nor cuda nor cuda:NUMBER"
        ) from None


def positive(text: str) -> int:
    """A whole number from 1 up, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 up")
    return int(text)


def thread_count(text: str) -> int:
    """A number of threads that this process can have, for argparse."""
    if positive(text) > available_threads():
        raise argparse.ArgumentTypeError(f"{text} is above the {available_threads()} cores here")
    return int(text)


def load(options: argparse.Namespace) -> SentenceTransformer:
    """The model that the options name."""
    return SentenceTransformer(
        options.model,
        device=options.device,
        dtype=options.dtype,
        revision=options.revision,
        cache_folder=options.cache_folder,
        local_files_only=options.offline,
        threads=options.threads,
        reproducible=options.reproducible,
        on_long=getattr(options, "on_long", "warn"),
    )


def embed(options: argparse.Namespace) -> None:
    """minibert embed: texts -> vectors, chunk by chunk."""
    suffix = os.path.splitext(options.output)[1].removeprefix(".")
    kind = options.format or suffix or "jsonl"
    if kind not in FORMATS:
        raise ValueError(
            f"{options.output!r} names no format by its suffix. "
            f"Give --format: {', '.join(FORMATS)}."
        )
    if kind == "npy" and options.output == "-" and sys.stdout.isatty():
        raise ValueError("npy is no text for a terminal. Give --output FILE, or pipe it.")
    model = load(options)
    texts = read_texts(options)
    total = None if options.file or not options.texts else len(options.texts)
    with output(options.output) as file, progress(total, shows_progress(options)) as advance:

        def batches() -> Iterator[Batch]:
            chunk: list[str] = []  # the first has no text, but says how wide a vector is
            while True:
                yield (
                    chunk,
                    model.encode(
                        chunk,
                        prompt_name=options.prompt_name,
                        prompt=options.prompt,
                        truncate_dim=options.truncate_dim,
                        normalize_embeddings=options.normalize,
                        precision=options.precision,
                        pack_tokens=options.pack_tokens,
                    ),
                )
                advance(len(chunk))
                chunk = list(islice(texts, CHUNK_TEXTS))
                if not chunk:
                    return

        FORMATS[kind](batches(), file)


def score(options: argparse.Namespace) -> None:
    """minibert score: a query and texts -> the texts, best first."""
    documents = list(read_texts(options))
    model = load(options)
    for rank, result in enumerate(ranking(model, options.query, documents), start=1):
        if options.json:
            print_json({"rank": rank, **result})
        else:
            print(f"{result['score']:10.4f}  {result['text']}")


def ranking(model: SentenceTransformer, query: str, documents: list[str]) -> list[dict[str, Any]]:
    """The documents with their scores and places in the list, best first, ties as they came."""
    vector = model.encode(query, prompt_name="query")
    scores = model.similarity(vector, model.encode(documents, prompt_name="document"))[0]
    return [
        {"score": float(scores[index]), "index": int(index), "text": documents[index]}
        for index in np.argsort(-scores, kind="stable")
    ]


def info(options: argparse.Namespace) -> None:
    """minibert info: what a model is."""
    model = load(options)
    config, checkpoint, pooling = model.config, model.checkpoint, model.pooling
    facts = {
        "model": options.model,
        "folder": str(model.folder.path),
        "dimension": model.get_sentence_embedding_dimension(),
        "max_seq_length": model.max_seq_length,
        "modules": [type(module).__name__ for module in model],
        "pooling": "+".join(pooling.pooling_mode),
        "include_prompt": pooling.include_prompt,
        "metric": model.similarity_fn_name,
        "metric_reason": model.similarity_reason,
        "prompts": model.prompts,
        "default_prompt_name": model.default_prompt_name,
        **config._asdict(),
        "parameters": checkpoint.tensors.taken_numbers,
        "weights": [str(path.relative_to(model.folder.path)) for path in checkpoint.files],
        "weights_bytes": sum(path.stat().st_size for path in checkpoint.files),
        "weights_sha256": checkpoint.sha256(),
        "tensors_ignored": list(checkpoint.tensors.unused()),
    }
    if options.json:
        print_json(facts)
        return
    for name, fact in facts.items():
        shown = ", ".join(map(str, fact)) or "none" if isinstance(fact, list) else fact
        print(f"{name:24}{shown}")


def demo(options: argparse.Namespace) -> None:
    """minibert demo: the example of the default model's card."""
    start = time.perf_counter()
    model = load(options)
    loaded = time.perf_counter()
    results = ranking(model, DEMO_QUERY, DEMO_DOCUMENTS)
    ended = time.perf_counter()
    print(f"Query: {DEMO_QUERY}")
    for result in results:
        print(f"{result['score']:10.4f}  {result['text']}")
    print(
        f"{options.model}, {model.similarity_fn_name}: loaded in {loaded - start:.2f} s, "
        f"three texts in {ended - loaded:.3f} s"
    )


def read_texts(options: argparse.Namespace) -> Iterator[str]:
    """The texts of the arguments, then a text a line of each file."""
    for text in options.texts:
        if os.path.exists(text):
            logging.getLogger(__name__).warning(
                "%r is taken as a text; for the file of that name, use --file.", text
            )
        yield text
    for name in options.file or ([] if options.texts else ["-"]):
        if name == "-":
            yield from decoded(sys.stdin.buffer, "standard input")
        else:
            with open(name, "rb") as file:
                yield from decoded(file, name)


def decoded(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Lines as text, without their ends."""
    for number, line in enumerate(lines, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}, line {number} is not UTF-8: {error}.") from error
        yield text.removesuffix("\n").removesuffix("\r")


@contextmanager
def output(name: str) -> Iterator[BinaryIO]:
    """Standard output for "-", else a file that appears, or replaces the old one, when whole."""
    if name == "-":
        yield sys.stdout.buffer
        return
    target = Path(os.path.realpath(name))
    if target.exists() and not target.is_file():  # /dev/null, a pipe
        with created(target, name) as file:
            yield file
        return
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with created(partial, name) as file:
            yield file
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def created(path: Path, name: str) -> BinaryIO:
    """A new file, or OutputError under the name that the user gave."""
    try:
        return open(path, "wb")
    except OSError as error:
        raise OutputError(f"cannot create {name!r}: {error.strerror}") from error


def shows_progress(options: argparse.Namespace) -> bool:
    """Whether someone watches: a terminal on stderr, and no --quiet."""
    return sys.stderr.isatty() and not options.quiet


def print_json(content: dict[str, Any]) -> None:
    """One object on a line of its own."""
    print(json.dumps(content, ensure_ascii=False))

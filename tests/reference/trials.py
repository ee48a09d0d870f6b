"""Altered folders, loaded and used by either library in a process of its own. See fuzz.py.

Start at outcomes. What a process sends back is JSON; vectors are float32 in base64.
"""

import base64
import hashlib
import json
import linecache
import os
import resource
import selectors
import shutil
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alterations import BASES, make_altered, write_base

# Before anything of them is imported: no network, no threads that a fork would lose.
os.environ.update(
    HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS="1", TQDM_DISABLE="1",
    OPENBLAS_NUM_THREADS="1", TRANSFORMERS_VERBOSITY="critical",
)  # fmt: skip

SECONDS = 20  # of a processor; a wait may be longer, where others work beside it
PATIENCE = 6 * SECONDS
BYTES = 8 << 30
HANG = f"no end after {SECONDS} seconds"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minibert-fuzz"
REFERENCE = "sentence-transformers 6.2.0, transformers 5.23.0, torch 2.13.0"

TEXTS = [
    "the cat sat on a dog.",
    "Ein naïver Café, ÉTÉ e\u0301",
    "猫 好き 中文，the猫",
    "\U0001f600 the \U0001f469\u200d\U0001f467",
    "zebra qzxj unheard-of",
    "a [SEP] b [MASK] [PAD] <s> </s> <mask><pad> [CLS]",
    "",
    " \t\n  ",
    "the dog barks " * 30,
]
PAIRS = [("the cat", "a dog barks"), ("", ""), (" ", "the"), ("cat sat " * 20, "dog " * 25)]

# What both libraries are asked for, after loading.
STEPS: dict[str, Callable[[Any], Any]] = {
    "texts": lambda model: model.encode(TEXTS),
    "pairs": lambda model: model.encode(PAIRS),
    "queries": lambda model: model.encode_query(TEXTS[:3]),
    "documents": lambda model: model.encode_document(TEXTS[:3]),
    "similarity": lambda model: model.similarity([[1.0, 2.0]], [[0.5, -1.0], [3.0, 0.0]]),
}

# Of these the reference computes a second time, in float64: how far float32 is from it.
EXACT = ("texts", "pairs", "queries", "documents")

Outcome = dict[str, dict[str, Any]]


@dataclass
class Case:
    """A seed, what was altered, and what either library did: a result for each step."""

    seed: int
    place: Path
    kind: str = ""
    base: str = ""
    altered: str = ""
    key: str = ""
    ours: Outcome | None = None
    theirs: Outcome | None = None
    waits: int = 0  # processes that have not ended


@dataclass
class Child:
    """A process at work on a case."""

    case: Case
    library: str
    process: int
    deadline: float
    received: bytearray = field(default_factory=bytearray)


def load_minibert(folder: Path) -> Any:
    """The model by minibert."""
    import minibert

    return minibert.SentenceTransformer(folder, on_long="ignore", threads=1)


def load_reference(folder: Path) -> Any:
    """The model by sentence-transformers, in float32 whatever the folder says."""
    import sentence_transformers
    import torch

    model = sentence_transformers.SentenceTransformer(
        str(folder), device="cpu", model_kwargs={"dtype": torch.float32}, local_files_only=True
    )
    for module in model:
        module.to(torch.float32)
    return model


LIBRARIES = {"minibert": load_minibert, "reference": load_reference}


def warm_up(libraries: Iterable[str]) -> None:
    """Import here, once, what every process needs: each is a copy of this one."""
    if "reference" in libraries:
        import torch

        torch.set_num_threads(1)
    with TemporaryDirectory() as top:
        for base in BASES:
            write_base(base, Path(top) / base)
            for library in libraries:
                outcome = outcome_of(library, Path(top) / base)
                assert all("numbers" in result for result in outcome.values()), outcome


def outcomes(
    seeds: Iterable[int], jobs: int, cache: Path, reference: bool = True, fresh: bool = False
) -> Iterator[Case]:
    """Yield every case when both libraries are done with it; `fresh` asks the reference again.

    Without `reference` only the cache is asked for it, and a case may have no outcome of it.
    """
    warm_up(LIBRARIES if reference else ["minibert"])
    waiting, running = deque(seeds), dict[int, Child]()
    tasks = deque[tuple[Case, str]]()
    with TemporaryDirectory() as top, selectors.DefaultSelector() as selector:
        while waiting or tasks or running:
            while (waiting or tasks) and len(running) < jobs:
                if not tasks:
                    case = prepared(waiting.popleft(), Path(top))
                    case.theirs = None if fresh else recall(cache, case.key)
                    tasks.append((case, "minibert"))
                    if reference and case.theirs is None:
                        tasks.append((case, "reference"))
                    case.waits = len(tasks)
                case, library = tasks.popleft()
                child, pipe = begin(case, library)
                running[pipe] = child
                selector.register(pipe, selectors.EVENT_READ)
            for pipe in finished(selector, running):
                child = running.pop(pipe)
                selector.unregister(pipe)
                os.close(pipe)
                end(child, cache)
                child.case.waits -= 1
                if not child.case.waits:
                    shutil.rmtree(child.case.place)
                    yield child.case


def prepared(seed: int, top: Path) -> Case:
    """A case with its folder written."""
    place = top / str(seed)
    place.mkdir()
    kind, base, altered = make_altered(seed, place)
    return Case(seed, place, kind, base, altered, digest(place))


def digest(place: Path) -> str:
    """What a case is known by in the cache: all files and links, and what is asked for."""
    found = hashlib.sha256(json.dumps([REFERENCE, TEXTS, PAIRS, list(STEPS)]).encode())
    for path in sorted(place.rglob("*")):
        found.update(f"\n{path.relative_to(place)} ".encode())
        if path.is_symlink():
            found.update(f"-> {os.readlink(path)}".encode().replace(str(place).encode(), b""))
        elif path.is_file():
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def begin(case: Case, library: str) -> tuple[Child, int]:
    """Start a process: it, and the pipe that it writes to."""
    pipe, into = os.pipe()
    process = os.fork()
    if process:
        os.close(into)
        return Child(case, library, process, time.monotonic() + PATIENCE), pipe
    try:
        os.close(pipe)
        quiet()
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        sent = json.dumps(outcome_of(library, case.place / "model")).encode()
        with open(into, "wb") as file:
            file.write(sent)
    finally:
        os._exit(0)  # whatever happened, this copy goes no further


def quiet() -> None:
    """Send what libraries print nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)


def finished(selector: selectors.BaseSelector, running: dict[int, Child]) -> list[int]:
    """Wait a little, read what comes, and stop what takes too long: the pipes that ended."""
    ended = []
    for key, _ in selector.select(timeout=0.5):
        if piece := os.read(key.fd, 1 << 20):
            running[key.fd].received += piece
        else:
            ended.append(key.fd)
    for pipe, child in running.items():
        if time.monotonic() > child.deadline and pipe not in ended:
            os.kill(child.process, signal.SIGKILL)
            child.received[:] = json.dumps({"load": {"ended": HANG}}).encode()
            ended.append(pipe)
    return ended


def end(child: Child, cache: Path) -> None:
    """Take what a process sent, or how it ended."""
    _, status = os.waitpid(child.process, 0)
    try:
        outcome = json.loads(child.received)
    except ValueError:
        outcome = {"load": {"ended": how_ended(os.waitstatus_to_exitcode(status))}}
    if child.library == "minibert":
        child.case.ours = outcome
    else:
        child.case.theirs = outcome
        cache.mkdir(parents=True, exist_ok=True)
        (cache / f"{child.case.key}.json").write_text(json.dumps(outcome))


def how_ended(code: int) -> str:
    """How a process ended that sent nothing, by its exit code."""
    if code == -signal.SIGXCPU:
        return HANG
    return f"signal {-code}" if code < 0 else f"nothing sent, {code}"


def recall(cache: Path, key: str) -> Outcome | None:
    """What the reference did with such a folder before."""
    path = cache / f"{key}.json"
    found: Outcome | None = json.loads(path.read_text()) if path.exists() else None
    return found


def outcome_of(library: str, folder: Path) -> Outcome:
    """What a library does with a folder, step by step; without a model there is one step."""
    try:
        model = LIBRARIES[library](folder)
    except BaseException as error:  # what the tokenizers library panics with is no Exception
        return {"load": error_of(error, folder)}
    results = {name: result_of(step, model, folder) for name, step in STEPS.items()}
    if library == "reference":
        for module in model:
            module.double()
        for name in EXACT:
            results[name]["exact"] = result_of(STEPS[name], model, folder)
    return results


def result_of(step: Callable[[Any], Any], model: Any, folder: Path) -> dict[str, Any]:
    """The numbers of a step, or its error."""
    import numpy as np

    try:
        numbers = np.ascontiguousarray(step(model), dtype="<f4")
    except BaseException as error:
        return error_of(error, folder)
    return {"shape": numbers.shape, "numbers": base64.b64encode(numbers.tobytes()).decode()}


def error_of(error: BaseException, folder: Path) -> dict[str, Any]:
    """An error as JSON: its type, its words, where it was raised, and whether by a `raise`."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    code = linecache.getline(last.filename, last.lineno or 0).strip() if last else ""
    return {
        "error": f"{type(error).__module__}.{type(error).__qualname__}",
        "message": str(error).replace(str(folder.parent), "")[:1000],
        "file": last.filename if last else "",
        "line": last.lineno if last else 0,
        "raised": code.startswith("raise "),
    }

"""Measure an installation: size, start and memory, beside sentence-transformers.

    python tools/footprint.py                # minibert alone
    python tools/footprint.py --reference    # with the reference, about 1.5 GB, in the same run

It makes fresh virtual environments in a temporary directory, measures in turn, and prints a
Markdown table, and a second one of minibert as a function: with the extra "serve", from a new
process to the answer of the ASGI application. Megabytes are 10^6 bytes, without pip and setuptools;
seconds are medians of seven new processes, the two in turn.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / ".models" / "all-MiniLM-L6-v2"
ROUNDS = 7

NUMPY = "import numpy"
PROGRAMS = {
    "minibert": ("from minibert import SentenceTransformer, dot_score", "SentenceTransformer"),
    "sentence-transformers": (
        "from sentence_transformers import SentenceTransformer",
        "SentenceTransformer",
    ),
}
# A request to the application, in the process itself, as hosts of functions send it.
FUNCTION = """
import asyncio, json, os
os.environ["MINIBERT_MODEL"] = {model!r}
from minibert.integrations.asgi import app

async def answer():
    sent, body = [], [{{"type": "http.request", "body": b'{{"input": "hello world"}}'}}]
    async def receive():
        return body.pop() if body else await asyncio.Event().wait()
    async def send(message):
        sent.append(message)
    path, headers = "/v1/embeddings", [(b"content-type", b"application/json")]
    scope = {{"type": "http", "method": "POST", "path": path, "headers": headers}}
    await app({{**scope, "query_string": b"", "root_path": ""}}, receive, send)
    assert sent[0]["status"] == 200, sent

asyncio.run(answer())
"""
REQUIREMENTS = {
    "minibert": [[str(ROOT)]],
    # torch alone and first: a build for CPUs then satisfies the others.
    "sentence-transformers": [["torch==2.13.0"], ["sentence-transformers==6.2.0"]],
}


def main() -> None:
    """Install, measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--reference", action="store_true", help="with sentence-transformers")
    names = list(PROGRAMS) if options.parse_args().reference else ["minibert"]
    if not MODEL.exists():
        sys.exit("Run `python tools/fetch_minilm.py` first.")
    with tempfile.TemporaryDirectory() as scratch:
        pythons = {name: install(Path(scratch) / name, REQUIREMENTS[name]) for name in names}
        sizes = {name: megabytes(python) for name, python in pythons.items()}
        seconds: dict[tuple[str, str], list[float]] = {}
        peaks: dict[str, float] = {}
        for _ in range(ROUNDS):
            for name, python in pythons.items():
                statement, _ = PROGRAMS[name]
                seconds.setdefault((name, "numpy"), []).append(run(python, NUMPY)[0])
                seconds.setdefault((name, "import"), []).append(run(python, statement)[0])
                encode = f"{statement}\nSentenceTransformer({str(MODEL)!r}).encode('hello world')"
                elapsed, peaks[name] = run(python, encode)
                seconds.setdefault((name, "vector"), []).append(elapsed)
    print(f"| | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    row("installed, MB", [f"{sizes[name]:.0f}" for name in names])
    median = {key: statistics.median(values) for key, values in seconds.items()}
    row("`import`, seconds, process and all", [f"{median[name, 'import']:.2f}" for name in names])
    ratios = [f"{median[name, 'import'] / median[name, 'numpy']:.2f}" for name in names]
    row("the same, of `import numpy`'s", ratios)
    row("new process to first vector, seconds", [f"{median[n, 'vector']:.2f}" for n in names])
    row("peak memory of that, MB", [f"{peaks[name]:.0f}" for name in names])
    measure_function()


def measure_function() -> None:
    """Measure minibert with the extra "serve" as a function, and print a table."""
    with tempfile.TemporaryDirectory() as scratch:
        python = install(Path(scratch) / "serve", [[f"{ROOT}[serve]"]])
        found = [run(python, FUNCTION.format(model=str(MODEL))) for _ in range(ROUNDS)]
        print("\n| | a function |\n|---|---|")
        row("installed, MB", [f"{megabytes(python):.1f}"])
    seconds, peaks = zip(*found, strict=True)
    row("new process to first answer, seconds", [f"{statistics.median(seconds):.2f}"])
    row("the fastest", [f"{min(seconds):.2f}"])
    row("peak memory of that, MB", [f"{statistics.median(peaks):.0f}"])


def row(label: str, cells: list[str]) -> None:
    print(f"| {label} | {' | '.join(cells)} |")


def install(folder: Path, requirements: list[list[str]]) -> Path:
    """Make a virtual environment with some packages: -> its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    for packages in requirements:
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def megabytes(python: Path) -> float:
    """Sum the size of everything installed but pip and setuptools."""
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    own = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")
    kept = [path for path in packages.iterdir() if path.name.split("-")[0] not in own]
    files = (file for path in kept for file in [path, *path.rglob("*")] if file.is_file())
    return sum(file.stat().st_size for file in files) / 1e6


def run(python: Path, program: str) -> tuple[float, float]:
    """Measure seconds and peak megabytes of a new process that runs a program."""
    program += "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)"
    start = time.perf_counter()
    result = subprocess.run(
        [python, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tempfile.gettempdir(),
    )
    return time.perf_counter() - start, float(result.stdout.split()[-1])


if __name__ == "__main__":
    main()

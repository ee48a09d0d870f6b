"""Measure exact search beside the products alone and faiss, in turn, and print a table.

    python tools/bench_search.py --install              # faiss and minibert into .venv-bench, once
    .venv-bench/bin/python tools/bench_search.py --threads 1
    .venv-bench/bin/python tools/bench_search.py --vectors 1000000 --threads 2 --json results.json

Random vectors of length 1, in memory. All take turns in one process with `--threads` threads, so
that other work on the machine slows all of them; ratios are medians over the rounds.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
# Pinned, so that a table is repeatable.
REQUIREMENTS = ["faiss-cpu==1.15.1"]
K = 10
BLOCK = 4096  # vectors of one product; a product of all would not fit into memory


def main():
    """Measure the work that the options name."""
    options = parse()
    if options.install:
        install()
        return
    report = measure(options)
    print("\n".join(table(report)))
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def parse():
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--install", action="store_true", help="make .venv-bench and stop")
    parser.add_argument("--vectors", type=int, default=200_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    return parser.parse_args()


def install():
    """Make .venv-bench with faiss and this package in it."""
    folder = ROOT / ".venv-bench"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run(
        [folder / "bin" / "pip", "install", "--quiet", *REQUIREMENTS, "--editable", ROOT],
        check=True,
    )
    print(f"Installed. Now: {folder / 'bin' / 'python'} tools/bench_search.py")


def measure(options):
    """Run all work in turn: -> a report."""
    import faiss
    from threadpoolctl import threadpool_limits

    vectors = random_vectors(options.vectors, options.dimensions, seed=0)
    queries = random_vectors(options.queries, options.dimensions, seed=1)
    faiss.omp_set_num_threads(options.threads)
    index = faiss.IndexFlatIP(options.dimensions)
    index.add(vectors)
    work = jobs(vectors, queries, index, options.threads)
    report = {
        "command": " ".join(["python", "tools/bench_search.py", *sys.argv[1:]]),
        "vectors": options.vectors,
        "dimensions": options.dimensions,
        "queries": options.queries,
        "k": K,
        "threads": options.threads,
        "machine": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("numpy", "faiss-cpu")},
        "agreement": agreement(work),
    }
    with threadpool_limits(options.threads, user_api="blas"):
        report["seconds"] = {
            kind: in_turn(those, options.rounds * (1 if kind == "many" else 5))
            for kind, those in work.items()
        }
    return report


def random_vectors(count, dimensions, seed):
    """Draw vectors of length 1 in all directions: (count, dimensions) of float32."""
    random = np.random.default_rng(seed)
    vectors = np.empty((count, dimensions), dtype=np.float32)
    for start in range(0, count, BLOCK):
        block = vectors[start : start + BLOCK]
        block[:] = random.standard_normal(block.shape, dtype=np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return vectors


def jobs(vectors, queries, index, threads):
    """List the jobs by number of queries and by name: the first of each is the reference."""
    from minibert.scoring.nearest import nearest

    def products():
        for start in range(0, len(vectors), BLOCK):
            queries @ vectors[start : start + BLOCK].T

    def ours(asked, metric="dot"):
        return nearest(asked, [vectors], K, metric, threads=threads)

    one = queries[:1]
    return {
        "one": {
            "product": lambda: vectors @ queries[0],
            "faiss": lambda: index.search(one, K)[::-1],
            "minibert, dot": lambda: ours(one),
            "minibert, cosine": lambda: ours(one, "cosine"),
        },
        "many": {
            "faiss": lambda: index.search(queries, K)[::-1],
            "product": products,
            "minibert, dot": lambda: ours(queries),
            "minibert, cosine": lambda: ours(queries, "cosine"),
        },
    }


def agreement(work):
    """Count the numbers that differ from faiss's, and find the largest difference of scores."""
    numbers, scores = work["many"]["minibert, dot"]()
    others, their_scores = work["many"]["faiss"]()
    return {
        "numbers": numbers.size,
        "differing": int((numbers != others).sum()),
        "largest difference of scores": float(np.abs(scores - their_scores).max()),
    }


def in_turn(work, rounds):
    """Measure the seconds of each job, one number per round, after a round to warm up."""
    seconds = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, job in work.items():
            start = time.perf_counter()
            job()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def processor():
    """Name the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()


def table(report):
    """Write a report as Markdown."""
    agreement = report["agreement"]
    lines = [
        f"{report['vectors']} x {report['dimensions']} float32, k = {report['k']}, "
        f"{report['threads']} threads; {report['machine']}, Python {report['python']}, "
        + ", ".join(f"{name} {number}" for name, number in report["versions"].items()),
        f"`{report['command']}`",
        f"Of {agreement['numbers']} numbers {agreement['differing']} are not faiss's; scores "
        f"differ by {agreement['largest difference of scores']:.1e} at most.",
        "",
        "| queries | | median, s | to the first |",
        "|---|---|---|---|",
    ]
    for kind, count in (("one", 1), ("many", report["queries"])):
        seconds = report["seconds"][kind]
        first = next(iter(seconds.values()))
        for name, values in seconds.items():
            ratio = statistics.median(v / f for v, f in zip(values, first, strict=True))
            lines.append(f"| {count} | {name} | {statistics.median(values):.4f} | {ratio:.2f} |")
    return lines


if __name__ == "__main__":
    main()

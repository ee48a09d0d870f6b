"""Measure minibert beside its peers on the same texts, in turn, and print a table.

    python tools/bench.py --install               # once: the peers, about 2 GB, into .venv-bench
    python tools/bench.py --model bert-base       # all peers that are installed
    python tools/bench.py --model minilm --dataset DIR --json results.json --plot results.png
    python tools/bench.py --compare OLD NEW       # two commits of minibert
    python tools/bench.py --search --vectors 1000000   # exact search beside faiss: bench_search.py

Every implementation runs in a process of its own and is loaded once. They take turns, so that other
work on the machine slows all of them, and medians are compared. Tokens are counted without padding.
Peers pad to the longest of 32 texts that are sorted by length.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import bench_search
import bench_serve
import bench_train
import numpy as np
from bench_models import MODELS, ROOT, find, make_graphs
from bench_peers import PEERS

OURS = "minibert"
SAMPLE = ROOT / "minibert" / "evaluation" / "sample"
# Pinned, so that a table is repeatable.
REQUIREMENTS = [
    ["torch==2.13.0"],  # alone and first: a build for CPUs then satisfies the others
    [
        "sentence-transformers==6.2.0", "transformers==5.24.0", "onnx==1.23.2",
        "onnxruntime==1.32.0", "onnxscript==0.7.2", "openvino==2026.4.1", "ctranslate2==4.8.5",
        "matplotlib>=3.10", "threadpoolctl>=3.5",
    ],
    bench_search.REQUIREMENTS,
    bench_serve.REQUIREMENTS,
    ["--editable", str(ROOT)],
]  # fmt: skip
QUERY_TOKENS = (9, 16, 32, 128, 512)
FIRST_VECTOR = """
import sys
sys.path.insert(0, {tools!r})
from bench_peers import PEERS
PEERS[{name!r}]({folder!r}, {threads}).encode(["hello world"])
"""
PEAK = 'print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0])'


class Peer:
    """A running process of tools/bench_peers.py, or of another script of its kind."""

    def __init__(self, name, folder, threads, package=None, script="bench_peers.py"):
        self.name = name
        environment = dict(os.environ, HF_HUB_OFFLINE="1", OMP_NUM_THREADS=str(threads))
        if package:  # the minibert of another checkout, before the installed one
            environment["PYTHONPATH"] = str(package)
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "tools" / script, name, folder, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment,
        )  # fmt: skip
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} has ended with {self.process.wait()}.")
        return json.loads(line)

    def ask(self, **job):
        """Send a job, and wait for its answer."""
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return self.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def main():
    """Measure the work that the options name."""
    if "--search" in sys.argv:
        sys.argv.remove("--search")  # the other options are its own
        bench_search.main()
        return
    options = parse()
    if options.install:
        install()
        return
    folder = find(options.model)
    texts = read_texts(options.dataset, options.documents)
    if options.compare:
        report = compare(options, folder, texts)
    else:
        report = beside_peers(options, folder, texts)
    print("\n".join(table(report)))
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.plot:
        plot(report, options.plot)


def parse():
    """Read the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--install", action="store_true", help="install the peers, and stop")
    parser.add_argument(
        "--search",
        action="store_true",
        help="search beside faiss instead; --search --help has more",
    )
    parser.add_argument("--model", default="minilm", help="minilm, bert-base or a folder")
    parser.add_argument(
        "--dataset", metavar="DIR", help="in BEIR's layout (default: the sample of the package)"
    )
    parser.add_argument("--documents", type=int, metavar="N", help="only its first N documents")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each peer")
    parser.add_argument("--peers", default=",".join(PEERS), help="some of these, with commas")
    parser.add_argument(
        "--work",
        default="throughput,queries,callers,start,memory",
        help="some, with commas; also train: steps of training, of the peers that train; "
        "serve: HTTP servers under load",
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=32,
        metavar="N",
        help="pairs of a batch for --work train; sentence-transformers needs 20 GB for 32 of "
        "512 tokens with bert-base",
    )
    parser.add_argument("--compare", nargs=2, metavar="COMMIT", help="two commits of minibert")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", metavar="FILE", help="draw the throughput there")
    return parser.parse_args()


def install():
    """Make .venv-bench with all peers in it."""
    folder = ROOT / ".venv-bench"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    for requirements in REQUIREMENTS:
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", *requirements], check=True)
    bench_serve.install()
    print(f"Installed. Now: {folder / 'bin' / 'python'} tools/bench.py --model bert-base")


def read_texts(dataset, count):
    """Read the documents of a BEIR folder, title and text joined by a space."""
    with open(Path(dataset or SAMPLE, "corpus.jsonl"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    texts = [f"{row.get('title', '')} {row['text']}".strip() for row in rows]
    return [text for text in texts if text][:count]


def count_tokens(folder, texts):
    """Count the tokens of each text, after truncation."""
    from minibert import SentenceTransformer

    model = SentenceTransformer(folder, on_long="ignore")
    return [len(tokens.ids) for tokens in model.tokens(texts)]


def query_of(tokens):
    """Make a text of `tokens` tokens."""
    return " ".join(["water"] * (tokens - 2))


def beside_peers(options, folder, texts):
    """Run all work of all peers that are installed: -> a report."""
    wanted = [name for name in options.peers.split(",") if name]
    failed = {name: "not installed" for name in wanted if not is_installed(name)}
    failed |= make_graphs(folder, [name for name in wanted if name not in failed])
    names = [name for name in wanted if name not in failed]
    tokens = count_tokens(folder, texts)
    report = about(options, folder, texts, tokens)
    report |= {"peers": names, "left out": failed, "megabytes installed": {}}
    report["megabytes installed"] = {
        name: sum(installed_megabytes(PEERS[name].requires).values()) for name in names
    }
    work = options.work.split(",")
    with ExitStack() as stack:
        peers = [
            stack.enter_context(Peer(name, str(folder), options.threads))
            for name in names
            if {"throughput", "queries"} & set(work)
        ]
        if "throughput" in work:
            report["throughput"] = throughput(peers, texts, tokens, options.rounds)
            report |= share_of_peak(folder, report["throughput"], tokens)
        if "queries" in work:
            report["queries"] = queries(peers, folder, options.rounds)
    if "callers" in work:
        report["callers"] = callers(names, folder, options.rounds)
    if "start" in work:
        report["start"] = starts(names, folder, options)
    if "memory" in work:
        report["memory"] = memory(names, folder, texts, options.threads)
    if "train" in work:
        trained = [name for name in names if name in bench_train.PEERS]
        report["train"] = bench_train.measure(
            lambda name: Peer(name, str(folder), options.threads, script="bench_train.py"),
            trained, folder, options.dataset or SAMPLE, options.rounds, options.pairs,
        )  # fmt: skip
    if "serve" in work:
        served, missing = bench_serve.installed(names)
        with Peer(OURS, str(folder), options.threads) as encoder:
            report["serve"] = bench_serve.measure(
                encoder, served, folder, texts, options.threads, options.rounds
            )
        report["peers"] = list(dict.fromkeys([*names, *served]))
        report["left out"] |= missing
    return report


def about(options, folder, texts, tokens):
    """Describe the measurement: the model, the machine and the versions."""
    packages = {package for peer in PEERS.values() for package in peer.requires} | {
        "numpy",
        "torch",
    }
    versions = {}
    for package in sorted(packages):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "command": " ".join(["python", "tools/bench.py", *sys.argv[1:]]),
        "model": folder.name,
        "documents": len(texts),
        "tokens": sum(tokens),
        "threads": options.threads,
        "rounds": options.rounds,
        "machine": processor(),
        "kernels": blas_kernels(),
        "python": platform.python_version(),
        "versions": versions,
    }


def processor():
    """Name the processor, and count its cores."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{found[1] if found else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def blas_kernels():
    """Return the BLAS's name of its kernels."""
    from threadpoolctl import threadpool_info

    return next(pool["architecture"] for pool in threadpool_info() if pool["user_api"] == "blas")


def is_installed(name):
    """Return whether a peer's packages are installed."""
    try:
        return all(importlib.metadata.version(package) for package in PEERS[name].requires)
    except importlib.metadata.PackageNotFoundError:
        return False


def throughput(peers, texts, tokens, rounds):
    """Measure seconds for all texts, in turn, and how far each peer's vectors are from ours."""
    seconds = {peer.name: [] for peer in peers}
    vectors = {}
    for peer in peers:
        answer = peer.ask(texts=texts[:32], vectors=True)  # also warms it up
        vectors[peer.name] = np.load(answer["vectors"])
        os.unlink(answer["vectors"])
    for _ in range(rounds):
        for peer in peers:
            seconds[peer.name] += peer.ask(texts=texts)["seconds"]
    return {
        name: {
            "seconds": values,
            "median": statistics.median(values),
            "tokens per second": sum(tokens) / statistics.median(values),
            "differs by": float(np.abs(vectors[name] - vectors[OURS]).max())
            if OURS in vectors
            else None,
        }
        for name, values in seconds.items()
    }


def share_of_peak(folder, results, tokens):
    """Compute the share of the machine's own matrix products that the linear layers reach."""
    if OURS not in results:
        return {}
    config = json.loads((folder / "config.json").read_text())
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    flop = 2 * config["num_hidden_layers"] * (4 * hidden**2 + 2 * hidden * inner) * sum(tokens)
    peak = products_per_second()
    return {
        "peak GFLOP/s": peak / 1e9,
        "share of the peak": {
            name: flop / results[name]["median"] / peak for name in results if "int8" not in name
        },
    }


def products_per_second():
    """Measure FLOP per second of (1024 x 768)(768 x 3072), two threads with a BLAS thread each."""
    from concurrent.futures import ThreadPoolExecutor

    from threadpoolctl import threadpool_limits

    random = np.random.default_rng(0)
    left = [random.normal(size=(1024, 768)).astype(np.float32) for _ in range(2)]
    right = [random.normal(size=(768, 3072)).astype(np.float32) for _ in range(2)]
    out = [np.empty((1024, 3072), dtype=np.float32) for _ in range(2)]

    def multiply(number):
        for _ in range(8):
            np.matmul(left[number], right[number], out=out[number])

    best = float("inf")
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(2) as threads:
        for _ in range(5):
            start = time.perf_counter()
            list(threads.map(multiply, range(2)))
            best = min(best, time.perf_counter() - start)
    return 2 * 8 * 2 * 1024 * 768 * 3072 / best


def queries(peers, folder, rounds):
    """Measure milliseconds for one text of several lengths, median and 99th percentile."""
    found = {}
    for tokens in QUERY_TOKENS:
        text = query_of(tokens)
        calls = 60 if tokens < 100 else 12
        seconds = {peer.name: [] for peer in peers}
        for peer in peers:
            peer.ask(texts=[text], calls=3)
        for _ in range(rounds):
            for peer in peers:
                seconds[peer.name] += peer.ask(texts=[text], calls=calls)["seconds"]
        found[tokens] = {
            name: {
                "median ms": 1000 * statistics.median(values),
                "p99 ms": 1000 * float(np.percentile(values, 99)),
            }
            for name, values in seconds.items()
        }
    return found


def callers(names, folder, rounds):
    """Measure queries of 9 tokens a second, two callers at once in one process, a thread each."""
    text, calls = query_of(9), 40
    found = {}
    with ExitStack() as stack:
        peers = [stack.enter_context(Peer(name, str(folder), 1)) for name in names]
        for peer in peers:
            peer.ask(texts=[text], calls=3, callers=2)
        seconds = {peer.name: [] for peer in peers}
        for _ in range(rounds):
            for peer in peers:
                seconds[peer.name] += peer.ask(texts=[text], calls=calls, callers=2)["seconds"]
    for name, values in seconds.items():
        found[name] = 2 * calls / statistics.median(values)
    return found


def starts(names, folder, options):
    """Measure seconds from the start of a process to its first vector, and to its imports' end."""
    seconds = {name: {"first vector": [], "import": []} for name in names}
    for _ in range(options.rounds + 2):
        for name in names:
            seconds[name]["first vector"].append(measured(name, folder, options.threads)[0])
            seconds[name]["import"].append(run_to_end(name, f"{PEERS[name].imports}\n{PEAK}")[0])
    return {
        name: {what: statistics.median(values) for what, values in found.items()}
        for name, found in seconds.items()
    }


def memory(names, folder, texts, threads):
    """Measure megabytes at the peak: of a process to its first vector, and over all texts."""
    found = {}
    for name in names:
        first = measured(name, folder, threads)[1]
        with Peer(name, str(folder), threads) as peer:
            peer.ask(texts=texts)
            status = Path(f"/proc/{peer.process.pid}/status").read_text()
        found[name] = {
            "first vector": first,
            "all texts": int(re.search(r"VmHWM:\s*(\d+)", status)[1]) * 1024 / 1e6,
        }
    return found


def measured(name, folder, threads):
    """Run a fresh process to its first vector: -> its seconds and its peak in megabytes."""
    program = FIRST_VECTOR.format(
        tools=str(ROOT / "tools"), name=name, folder=str(folder), threads=threads
    )
    return run_to_end(name, f"{program}\n{PEAK}")


def run_to_end(name, program):
    """Run a fresh process that prints its peak: -> its seconds and megabytes."""
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", program],
        # With bytecode, like an installed package.
        env=dict(os.environ, HF_HUB_OFFLINE="1", PYTHONDONTWRITEBYTECODE=""),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    seconds = time.perf_counter() - start
    peak = re.search(r"VmHWM:\s*(\d+)", result.stdout)
    if peak is None:
        raise RuntimeError(f"{name} did not come to its end.")
    # The system's own figure for a child (ru_maxrss) begins with the memory of its parent.
    return seconds, int(peak[1]) * 1024 / 1e6


def installed_megabytes(packages):
    """Measure the megabytes of packages and of all their requirements: -> those of each."""
    found, waiting = {}, list(packages)
    while waiting:
        package = re.split(r"[^A-Za-z0-9._-]", waiting.pop())[0].lower().replace("_", "-")
        if package in found:
            continue
        try:
            of_package = importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        paths = [file.locate() for file in of_package.files or []]
        found[package] = sum(path.stat().st_size for path in paths if path.exists()) / 1e6
        waiting += [line for line in of_package.requires or [] if "extra ==" not in line]
    return found


def compare(options, folder, texts):
    """Measure two commits of minibert, in turn."""
    tokens = count_tokens(folder, texts)
    report = about(options, folder, texts, tokens)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        peers = []
        for commit in options.compare:
            checkout = Path(scratch, commit.replace("/", "_"))
            checkout.mkdir()
            archive = subprocess.run(
                ["git", "archive", commit, "minibert"], cwd=ROOT, check=True, capture_output=True
            ).stdout
            subprocess.run(["tar", "-x", "-C", checkout], input=archive, check=True)
            peer = stack.enter_context(Peer(OURS, str(folder), options.threads, checkout))
            peer.name = commit
            peers.append(peer)
        report |= {"peers": options.compare, "left out": {}}
        report["throughput"] = throughput(peers, texts, tokens, options.rounds)
        report["queries"] = queries(peers, folder, options.rounds)
    return report


def table(report):
    """Write a report as Markdown."""
    names = report["peers"]
    lines = [
        f"{report['model']}, {report['documents']} documents, {report['tokens']} tokens, "
        f"{report['threads']} threads; {report['machine']}, OpenBLAS kernels {report['kernels']}, "
        f"Python {report['python']}",
        ", ".join(f"{package} {version}" for package, version in report["versions"].items()),
        f"`{report['command']}`",
        "",
        f"| | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]

    def row(title, values, form):
        if any(name in values for name in names):
            cells = [form.format(values[name]) if name in values else "-" for name in names]
            lines.append(f"| {title} | {' | '.join(cells)} |")

    def per(key, results):
        return {n: r[key] for n, r in results.items() if r[key] is not None}

    if results := report.get("throughput"):
        medians = per("median", results)
        row("all documents, s", medians, "{:.2f}")
        row("tokens per second", per("tokens per second", results), "{:.0f}")
        row(f"its time to {names[0]}'s", {n: m / medians[names[0]] for n, m in medians.items()},
            "{:.2f}")  # fmt: skip
        row("share of the sgemm peak", report.get("share of the peak", {}), "{:.0%}")
        row("differs from minibert by", per("differs by", results), "{:.1e}")
    for tokens, results in report.get("queries", {}).items():
        row(f"{tokens} tokens, ms, median", per("median ms", results), "{:.2f}")
        row(f"{tokens} tokens, ms, p99", per("p99 ms", results), "{:.2f}")
    row("two callers, queries per second", report.get("callers", {}), "{:.1f}")
    row("process start to first vector, s", per("first vector", report.get("start", {})), "{:.2f}")
    row("process start to imports' end, s", per("import", report.get("start", {})), "{:.2f}")
    row("peak memory to that, MB", per("first vector", report.get("memory", {})), "{:.0f}")
    row("peak memory, all documents, MB", per("all texts", report.get("memory", {})), "{:.0f}")
    if results := report.get("train"):
        speeds = per("tokens per second", results)
        row("training, tokens per second", speeds, "{:.0f}")
        row("its speed to the last one's", {n: s / speeds[names[-1]] for n, s in speeds.items()},
            "{:.2f}")  # fmt: skip
        row("training, loaded, MB", per("megabytes loaded", results), "{:.0f}")
        row("training, peak memory, MB", per("peak megabytes", results), "{:.0f}")
    if results := report.get("serve"):
        for title, values, form in bench_serve.rows(results):
            row(title, values, form)
    row("installed, MB", report.get("megabytes installed", {}), "{:.0f}")
    if "peak GFLOP/s" in report:
        lines += ["", f"The machine's own sgemm peak: {report['peak GFLOP/s']:.0f} GFLOP/s."]
    lines += [f"Left out: {name} ({reason})" for name, reason in report["left out"].items()]
    return lines


def plot(report, path):
    """Draw the throughput as bars."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    results = report["throughput"]
    figure, axes = pyplot.subplots(figsize=(7, 0.5 * len(results) + 1))
    axes.barh(list(results)[::-1], [r["tokens per second"] for r in results.values()][::-1])
    axes.set_xlabel("tokens per second, without padding")
    axes.set_title(f"{report['model']}, {report['threads']} threads, {report['machine']}")
    figure.savefig(path, bbox_inches="tight", dpi=120)


if __name__ == "__main__":
    MODELS.mkdir(exist_ok=True)
    main()

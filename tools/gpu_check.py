"""Check minibert on a GPU: vectors and training beside the CPU's, and speed beside torch.

    python tools/gpu_check.py                             # with MiniLM and the package's sample
    python tools/gpu_check.py --model bert-base --dataset DIR --report gpu-bert-base
    python tools/gpu_check.py --work parity               # in a minute, and without torch

It needs CuPy, and for the comparison torch with transformers or sentence-transformers. Peers take
turns, and medians are compared. It writes REPORT.md and REPORT.json. Exit code: 0 if all vectors
and gradients are right, 1 if one is not, 69 without a GPU.
"""

import argparse
import importlib.metadata
import json
import platform
import statistics
import sys
import time
from functools import partial
from pathlib import Path

import bench_train
import numpy as np
from bench import SAMPLE, count_tokens, read_texts
from bench_models import MODELS, ROOT, find
from bench_peers import Padded

from minibert import SentenceTransformer
from minibert.bert.dropout import Draws, Dropout, Rates
from minibert.errors import DeviceError
from minibert.kernels import cpu as kernels
from minibert.kernels import cpu_gradients, cpu_updates
from minibert.kernels.activations import ACTIVATIONS
from minibert.kernels.devices import find_device, to_host, update_kernels
from minibert.kernels.protocol import Adam, NormRows
from minibert.kernels.segments import equal_buckets, firsts
from minibert.training.losses import MultipleNegativesRankingLoss
from minibert.training.optimizers import AdamW, clip_

NO_GPU = 69
GOLDEN = ROOT / "tests" / "golden"
PARITY_TEXTS = 64
DTYPES = ("float32", "float16")
# Largest distance allowed from the expected vector, as a share of its length. The golden models'
# parameters are ten times a real model's, and so is their rounding to float16.
ALLOWED = {"float32": 1e-4, "float16": 2e-3}
# A folder of each family whose forward pass can be trained, and of each module.
TRAINED = ("gelu", "roberta", "distilbert", "mpnet", "albert", "electra", "modules", "poolings")
ON_THE_CPU = ("modernbert", "nomic_bert")  # their forward pass is not written for a GPU
ALLOWED_GOLDEN = {"float32": 1e-4, "float16": 1e-2}
WORK = ("parity", "speed", "train")
# Parts of the report whose rows are right or wrong, and their titles.
CHECKED = {"kernels": "Kernels beside NumPy's", "vectors": "Vectors", "training": "Training"}
BATCH_PAIRS, BATCHES = 32, 8  # of a round of training, if there are as many
PACKAGES = ("minibert-numpy", "numpy", "cupy-cuda12x", "cupy-cuda13x", "torch", "transformers",
            "sentence-transformers")  # fmt: skip


class Minibert:
    """This library, on the GPU."""

    def __init__(self, folder, dtype):
        self.model = SentenceTransformer(folder, device="cuda", dtype=dtype, on_long="ignore")

    def encode(self, texts):
        return self.model.encode(texts, show_progress_bar=False)


class SentenceTransformersPeer:
    """sentence-transformers, on torch."""

    def __init__(self, folder, dtype):
        from sentence_transformers import SentenceTransformer as Theirs

        settings = {"attn_implementation": "sdpa", "dtype": dtype}
        self.model = Theirs(
            str(folder), device="cuda", local_files_only=True, model_kwargs=settings
        )

    def encode(self, texts):
        return self.model.encode(texts, batch_size=128, show_progress_bar=False)


class Torch(Padded):
    """transformers' BERT on torch with its fused attention, in batches of one budget of tokens."""

    budget = 16384

    def __init__(self, folder, dtype):
        super().__init__(folder)
        import torch
        from transformers import AutoModel

        self.torch = torch
        self.model = AutoModel.from_pretrained(
            folder, dtype=getattr(torch, dtype), attn_implementation="sdpa"
        )
        self.model = self.model.eval().to("cuda")

    def encode(self, texts):
        rows = [row.ids for row in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(rows)), key=lambda number: -len(rows[number]))
        vectors = [None] * len(rows)
        while order:
            count = max(1, self.budget // len(rows[order[0]]))
            batch, order = order[:count], order[count:]
            for number, vector in zip(batch, self.means([rows[n] for n in batch]), strict=True):
                vectors[number] = vector
        return np.array(vectors)

    def means(self, rows):
        """Compute the mean of each row's states on the GPU."""
        torch = self.torch
        ids = torch.zeros((len(rows), len(rows[0])), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row)
            mask[place, : len(row)] = 1
        ids, mask = ids.to("cuda"), mask.to("cuda")
        with torch.inference_mode():
            hidden = self.model(ids, mask, torch.zeros_like(ids)).last_hidden_state.float()
            means = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            if self.normalize:
                means = torch.nn.functional.normalize(means)
        return means.cpu().numpy()


PEERS = {
    "minibert": Minibert,
    "torch (sdpa)": Torch,
    "sentence-transformers (sdpa)": SentenceTransformersPeer,
}


class Trainer(bench_train.Minibert):
    """This library's training, on the GPU."""

    def __init__(self, folder):
        super().__init__(folder, None, "cuda")

    def wait(self):
        """Wait until the last step has ended."""
        to_host(min(self.trainable.values.values(), key=lambda value: value.size))


class SentenceTransformersTrainer(bench_train.SentenceTransformers):
    """Training of sentence-transformers, on torch."""

    def __init__(self, folder):
        super().__init__(str(folder), None, "cuda")

    def wait(self):
        """Wait until the last step has ended."""
        self.torch.cuda.synchronize()


TRAINERS = {
    "minibert, float32": Trainer,
    "sentence-transformers, float32": SentenceTransformersTrainer,
}


def main(arguments=None):
    """Run the checks that the options name: -> an exit code."""
    options = parse(arguments)
    try:
        device = find_device("cuda")
    except DeviceError as error:
        print(f"gpu_check: {error}", file=sys.stderr)
        return NO_GPU
    report = about(options)
    folder = find(options.model)
    if "parity" in options.work:
        report["kernels"] = [
            *kernels_beside_numpy(device), *gradients_beside_numpy(device),
            *updates_beside_numpy(device), *draws_beside_numpy(device),
        ]  # fmt: skip
        allowed = ALLOWED_GOLDEN if GOLDEN in folder.parents else ALLOWED
        report["vectors"] = [*golden_vectors(), *model_vectors(folder, options, allowed)]
        report["training"] = [*golden_training(), *model_training(folder, options, allowed)]
    if "speed" in options.work:
        report["speed"] = speed(folder, options)
    if "train" in options.work:
        report["train"] = speed_of_training(folder, options)
    lines = table(report)
    print("\n".join(lines))
    for suffix, text in ((".md", "\n".join(lines)), (".json", json.dumps(report, indent=2))):
        Path(options.report + suffix).write_text(text + "\n", encoding="utf-8")
    checked = [row for key in CHECKED for row in report.get(key, [])]
    return 0 if all(row["ok"] for row in checked) else 1


def parse(arguments):
    """Read the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="minilm", help="minilm, bert-base or a folder")
    parser.add_argument(
        "--dataset", metavar="DIR", help="in BEIR's layout (default: the sample of the package)"
    )
    parser.add_argument("--documents", type=int, metavar="N", help="only its first N documents")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each peer")
    parser.add_argument("--work", default=",".join(WORK), help="some of these, separated by commas")
    parser.add_argument(
        "--report", default="gpu", metavar="REPORT", help="its path, without .md and .json"
    )
    options = parser.parse_args(arguments)
    options.work = options.work.split(",")
    if unknown := set(options.work) - set(WORK):
        parser.error(f"--work: {', '.join(sorted(unknown))} is none of {', '.join(WORK)}")
    return options


def about(options):
    """Describe the GPU and the versions of all libraries."""
    import cupy

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    runtime = cupy.cuda.runtime
    return {
        "command": " ".join(["python", "tools/gpu_check.py", *sys.argv[1:]]),
        "model": options.model,
        "gpu": runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode(),
        "driver": release(runtime.driverGetVersion()),
        "cuda": release(runtime.runtimeGetVersion()),
        "cupy": cupy.__version__,
        "python": platform.python_version(),
        "versions": versions,
    }


def release(number):
    """Format a version number of CUDA: 12080 is 12.8."""
    return f"{number // 1000}.{number % 1000 // 10}"


def kernels_beside_numpy(device):
    """Check every kernel by itself, so that a fault has a name."""
    random = np.random.default_rng(0)

    def rows(*shape):
        return random.normal(0, 2, shape).astype(np.float32)

    x, bias, before, gain = rows(65, 300), rows(300), rows(65, 300), rows(300)
    lengths = np.array([40, 5, 20])
    q, k, v = (rows(65, 128) / 4 for _ in range(3))
    first, of_pairs = firsts(lengths), rows(4, 40, 40)
    of_distance = random.integers(0, 9, (40, 40))

    def attend(module, q, k, v, bias=None, query_rows=None):
        return module.attend(q, k, v, module.buckets(lengths), 4, bias, query_rows)

    cases = {
        name: (lambda module, x, bias, name=name: (ACTIVATIONS[name](module, x, bias), x)[1],
               (x, bias))
        for name in ACTIVATIONS
    } | {
        "linear": (lambda module, x, w, b: module.linear(x, w, b), (x, rows(100, 300).T,
                                                                    rows(100))),
        "bias, residual and norm": (
            lambda module, x, *others: (module.add_and_normalise_(x, *others, 1e-12), x)[1],
            (x, bias, before, gain, bias)),
        "softmax": (lambda module, x: (module.softmax_(x), x)[1], (rows(3, 4, 9, 17),)),
        "rows of a norm": (lambda module, x: (module.standardise(x, 1e-12), x)[1], (x,)),
        "attention": (attend, (q, k, v)),
        "attention of first tokens": (
            lambda module, *arrays: attend(module, *arrays, query_rows=first), (q, k, v)),
        "attention with a bias": (attend, (q, k, v, of_pairs)),
        "sums of texts": (lambda module, x: module.segment_sum(x, lengths), (x,)),
        "largest of texts": (lambda module, x: module.segment_max(x, lengths), (x,)),
        "sums of buckets": (
            lambda module, x: module.bucket_sums(x, of_distance, 9), (rows(4, 40, 40),)),
        "end to end": (lambda module, *arrays: module.concatenate(arrays), (x, before)),
        "unit length": (lambda module, x: (module.normalize_(x), x)[1], (x,)),
    }  # fmt: skip
    yield from compared(device, device.kernels, kernels, cases, DTYPES)


def gradients_beside_numpy(device):
    """Check the gradient of every kernel by itself."""
    random = np.random.default_rng(1)

    def rows(*shape):
        return random.normal(0, 2, shape).astype(np.float32)

    x, given, gain, deviation = rows(65, 300), rows(65, 300), rows(300), np.abs(rows(65)) + 0.5
    index = random.integers(0, 20, 65)
    buckets = list(equal_buckets(np.array([30, 15, 15, 5])))
    of_text = rows(65, 128), *(rows(65, 128) / 4 for _ in range(3)), rows(65, 128)
    of_pairs, by_pairs = rows(4, 40, 40), rows(4, 40, 40)
    drawn = [
        (rows(bucket.texts.stop - bucket.texts.start, 4, bucket.longest, bucket.longest) > -2)
        * np.float32(1.2)
        for bucket in buckets
    ]

    def attend(module, *arrays):
        *arrays, bias, by_bias = arrays
        return module.attend_gradient(*arrays, buckets, 4, bias, by_bias), by_bias

    def attend_with_dropout(module, *arrays):
        factors = {b.texts.start: array for b, array in zip(buckets, arrays[5:], strict=True)}
        return module.attend_gradient(
            *arrays[:5], buckets, 4, dropout=lambda bucket: factors[bucket.texts.start]
        )

    cases = {
        f"gradient of {name}": (
            lambda module, *arrays, name=name: (ACTIVATIONS[name].gradient(module, *arrays),
                                                arrays)[1],
            (x, given))
        for name in ACTIVATIONS
    } | {
        "gradient of a weight": (lambda module, x, g: module.weight_gradient(x, g),
                                 (x, rows(65, 90))),
        "gradient of a bias": (lambda module, x: module.column_sums(x), (x,)),
        "gradient of a norm": (
            lambda module, g, n, d, w: (*module.layer_norm_gradient_(g, NormRows(n, d), w), g),
            (given, x, deviation, gain)),
        "gradient of attention with a bias": (attend, (*of_text, of_pairs, by_pairs)),
        "gradient of attention with dropout": (attend_with_dropout, (*of_text, *drawn)),
        "gradient of embeddings": (
            lambda module, total, g: (module.add_at_(total, index, g), total)[1],
            (rows(30, 300), given)),
        "gradient of unit length": (
            lambda module, *arrays: (module.normalize_gradient_(*arrays), arrays)[1], (x, given)),
    }  # fmt: skip
    yield from compared(device, device.gradient_kernels(), cpu_gradients, cases, ["float32"])


def updates_beside_numpy(device):
    """Check the step of the optimizer by itself."""
    random = np.random.default_rng(2)
    value, gradient, average = random.normal(0, 2, (3, 65, 300)).astype(np.float32)

    def adam(module, *arrays):
        module.adam_([Adam(*arrays, (0.9, 0.999), 0.01, 1e-8, 0.1)])
        return arrays[0], *arrays[2:]

    of_gpu = update_kernels([device.to_device(value)])
    cases = {"a step of Adam": (adam, (value, gradient, average, np.square(average)))}
    yield from compared(device, of_gpu, cpu_updates, cases, ["float32"])


def draws_beside_numpy(device):
    """Check the random numbers of dropout by themselves: they are NumPy's to the bit."""
    texts, lengths = np.array([7, 70_000, 0]), np.array([40, 16, 9])
    on_host = Dropout(Draws(2**64 - 1, 5), Rates(0.1, 0.2), texts, lengths)
    buckets = list(equal_buckets(lengths))
    with device.active():
        on_gpu = on_host.on(device.draw_kernels())
        both = {
            "dropout of rows": [one.rows(3, "output", 300) for one in (on_gpu, on_host)],
            "dropout of weights": [one.weights(3, 4)(buckets[1]) for one in (on_gpu, on_host)],
        }
        for name, (found, expected) in both.items():
            found, expected = one_row(found, device.to_host), one_row(expected, np.asarray)
            yield row_of(name, "float32", found, expected, ALLOWED)


def compared(device, of_device, of_numpy, cases, dtypes):
    """Compute each case with two modules of kernels: -> a row of the report for each dtype."""
    for name, (compute, arrays) in cases.items():
        for dtype in dtypes:
            # NumPy's result from the same rounded numbers, in float32.
            given = [array.astype(dtype) for array in arrays]
            expected = compute(of_numpy, *(array.astype(np.float32) for array in given))
            with device.active():
                found = compute(of_device, *map(device.to_device, given))
                found = one_row(found, device.to_host)
            yield row_of(name, dtype, found, one_row(expected, np.asarray), ALLOWED)


def one_row(results, to_host):
    """Put the numbers of an array, or of several, into one row of the host."""
    arrays = results if isinstance(results, tuple) else (results,)
    return np.concatenate([to_host(array).reshape(1, -1) for array in arrays], axis=1)


def golden_vectors():
    """Compare the vectors of the golden models with sentence-transformers' own."""
    texts = json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))
    for path in sorted(GOLDEN.glob("*/expected.npz")):
        with np.load(path) as arrays:
            expected = arrays["vectors"]
        if path.parent.name in ON_THE_CPU:
            continue
        for dtype in DTYPES:
            found = Minibert(path.parent, dtype).encode(texts)
            yield row_of(f"golden {path.parent.name}", dtype, found, expected, ALLOWED_GOLDEN)


def model_vectors(folder, options, allowed):
    """Compare the vectors of a real model with NumPy's, with the texts packed in two ways."""
    texts = read_texts(options.dataset, options.documents)[:PARITY_TEXTS]
    expected = SentenceTransformer(folder, on_long="ignore").encode(texts)
    for dtype in DTYPES:
        model = Minibert(folder, dtype).model
        for pack_tokens in (None, 512):
            found = model.encode(texts, pack_tokens=pack_tokens)
            name = f"{folder.name}, packs of {pack_tokens or model.transformer.device.pack_tokens}"
            yield row_of(name, dtype, found, expected, allowed)


def golden_training():
    """Compare a step of training of golden models with NumPy's, dropout included."""
    texts = json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))[:8]
    for name in TRAINED:
        yield from one_step(GOLDEN / name, f"golden {name}", texts, ALLOWED_GOLDEN)


def model_training(folder, options, allowed):
    """Compare a step of training of a real model with NumPy's."""
    texts = read_texts(options.dataset, options.documents)[:16]
    yield from one_step(folder, folder.name, texts, allowed)


def one_step(folder, name, texts, allowed):
    """Compare all gradients, as one vector, and the vectors of the model after the step."""
    half, found = len(texts) // 2, []
    columns = [texts[:half], texts[half : 2 * half]]
    for device in ("cuda", "cpu"):
        model = SentenceTransformer(folder, device=device, on_long="ignore")
        trainable = model.trainable()
        trainable.add_gradients(columns, None, MultipleNegativesRankingLoss(model), 0)
        gradients = trainable.gradients
        row = np.concatenate([to_host(gradient).ravel() for gradient in gradients.values()])
        clip_(gradients, 1.0)
        AdamW(trainable.values).step(gradients, 1e-5)
        trainable.zero_gradients()
        trainable.refresh()
        found.append((row[None], model.encode(texts)))
    for what, gpu, cpu in zip(("gradients", "vectors after a step"), *found, strict=True):
        yield row_of(f"{name}, {what}", "float32", gpu, cpu, allowed)


def row_of(name, dtype, found, expected, allowed):
    """Compute how far rows are from the expected ones, as a share of their lengths."""
    distances = np.linalg.norm(found.astype(np.float64) - expected, axis=1)
    differs = float((distances / np.maximum(np.linalg.norm(expected, axis=1), 1e-12)).max())
    ok = differs <= allowed[dtype]  # False for NaN
    return {
        "what": name, "dtype": dtype, "differs by": differs, "allowed": allowed[dtype], "ok": ok
    }  # fmt: skip


def speed(folder, options):
    """Measure seconds of each peer for all texts, in turn, or the reason that a peer fails."""
    texts = read_texts(options.dataset, options.documents)
    words = SentenceTransformer(folder, on_long="ignore")
    tokens = sum(len(found.ids) for found in words.tokens(texts))
    makers = {
        f"{name}, {dtype}": partial(peer, folder, dtype)
        for name, peer in PEERS.items()
        for dtype in DTYPES
    }
    measured = in_turn(makers, lambda peer: peer.encode(texts), options.rounds)
    return {"what": f"Speed: {len(texts)} texts", "tokens": tokens, **measured}


def speed_of_training(folder, options):
    """Measure seconds of each peer for some steps of training, in turn."""
    batches = bench_train.batches_of(options.dataset or SAMPLE, BATCHES, BATCH_PAIRS)
    batches = [batch for batch in batches if batch]

    def train(peer):
        for batch in batches:
            peer.step("ranking", batch, None)
        peer.wait()

    texts = [text for batch in batches for column in batch for text in column]
    makers = {name: partial(peer, folder) for name, peer in TRAINERS.items()}
    return {
        "what": f"Training: {len(texts) // 2} pairs in {len(batches)} steps",
        "tokens": sum(count_tokens(folder, texts)),
        **in_turn(makers, train, options.rounds),
    }


def in_turn(makers, work, rounds):
    """Make peers and measure their work, in turn: -> seconds, medians, and who failed and why."""
    peers, failed = {}, {}
    for name, make in makers.items():
        try:
            peer = make()
            work(peer)  # compiles, and fills the pools of memory
            peers[name] = peer
        except Exception as error:  # becomes a line of the report
            failed[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    seconds = {name: [] for name in peers}
    for _ in range(rounds):
        for name, peer in peers.items():
            start = time.perf_counter()
            work(peer)
            seconds[name].append(time.perf_counter() - start)
    return {
        "seconds": seconds,
        "median": {name: statistics.median(values) for name, values in seconds.items()},
        "left out": failed,
    }


def table(report):
    """Write the report in Markdown."""
    lines = [
        f"# minibert on {report['gpu']}", "",
        f"CUDA {report['cuda']}, driver for {report['driver']}, CuPy {report['cupy']}, Python "
        f"{report['python']}; "
        + ", ".join(f"{name} {version}" for name, version in report["versions"].items()),
        f"`{report['command']}`",
    ]  # fmt: skip
    for key, title in CHECKED.items():
        if key in report:
            lines += ["", f"## {title}", "", "| | | differs by | allowed | |"]
            lines += ["|---|---|---|---|---|"]
            for row in report[key]:
                verdict = "" if row["ok"] else "**too far**"
                numbers = f"{row['differs by']:.1e} | {row['allowed']:.0e}"
                lines.append(f"| {row['what']} | {row['dtype']} | {numbers} | {verdict} |")
    for found in (report[key] for key in ("speed", "train") if key in report):
        lines += [
            "", f"## {found['what']}, {found['tokens']} tokens without padding", "",
            "| | s, median | tokens per second |", "|---|---|---|",
        ]  # fmt: skip
        lines += [
            f"| {name} | {median:.3f} | {found['tokens'] / median:.0f} |"
            for name, median in found["median"].items()
        ]
        lines += [f"\nLeft out: {name} ({why})" for name, why in found["left out"].items()]
    return lines


if __name__ == "__main__":
    MODELS.mkdir(exist_ok=True)
    sys.exit(main())

"""Compare two workers of a local Ray cluster with one, each on one core.

    .venv-engines/bin/python tools/bench_ray.py
    .venv-engines/bin/python tools/bench_ray.py --model bert-base --passages 128 --batch 4

`sh tools/test.sh engines` makes that environment. In each round one worker and two take turns with
one process without Ray, with one thread. The first quarter of the batches is start-up and is not
counted. It prints a Markdown table of medians, and the machine's load.
"""

import argparse
import os
import statistics
import time

import pyarrow
import ray
from bench_models import find

from minibert import SentenceTransformer
from minibert.evaluation import SAMPLE, read_collection
from minibert.integrations.ray import embed

WORDS = 67  # from the sample, about 80 tokens


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default="minilm", help="minilm, bert-base or a folder")
    options.add_argument("--passages", type=int, default=1024)
    options.add_argument("--batch", type=int, default=16, help="passages a batch")
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    folder = find(given.model)
    texts = passages(given.passages)
    model = SentenceTransformer(folder, threads=1)
    tokens = sum(len(found.ids) for found in model.tokens(texts)) / len(texts)
    print(f"{len(texts)} passages of {tokens:.1f} tokens, load {os.getloadavg()[0]:.2f}")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # A third CPU, which does not exist, for the reading: it needs almost no time.
    ray.init(num_cpus=3, include_dashboard=False, configure_logging=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rates: dict[str, list[float]] = {"without Ray": [], "one worker": [], "two workers": []}
    for _ in range(given.rounds):
        rates["without Ray"].append(without_ray(model, texts, given.batch))
        for name, workers in (("one worker", 1), ("two workers", 2)):
            rates[name].append(with_ray(folder, texts, workers, given.batch))
        print([f"{values[-1] * tokens:.0f}" for values in rates.values()], os.getloadavg()[0])
    ray.shutdown()
    medians = {name: statistics.median(values) * tokens for name, values in rates.items()}
    ratios = [two / one for one, two in zip(*list(rates.values())[1:], strict=True)]
    print("\n| | tokens per second | of one worker |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.0f} | {median / medians['one worker']:.2f} |")
    print(f"\ntwo to one, round by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


def passages(count: int) -> list[str]:
    """Make passages of the sample's words, all of one length and all different."""
    words = " ".join(read_collection(SAMPLE).documents.values()).split()
    starts = (number * 7 % (len(words) - WORDS) for number in range(count))
    return [" ".join(words[start : start + WORDS]) for start in starts]


def without_ray(model: SentenceTransformer, texts: list[str], batch: int) -> float:
    """Measure passages a second of this process."""
    texts = texts[: len(texts) // 2]
    began = time.perf_counter()
    for start in range(0, len(texts), batch):
        model.encode_document(texts[start : start + batch])
    return len(texts) / (time.perf_counter() - began)


def with_ray(folder: os.PathLike[str], texts: list[str], workers: int, batch: int) -> float:
    """Measure passages a second of `workers` workers, in the last three quarters of the batches."""
    dataset = ray.data.from_arrow(pyarrow.table({"text": texts}))
    embedded = embed(dataset, folder, concurrency=workers, batch_size=batch)
    done, times = [0], []
    for found in embedded.iter_batches(batch_size=None, batch_format="pyarrow"):
        done.append(done[-1] + len(found))
        times.append(time.perf_counter())
    first = len(times) // 4
    return (done[-1] - done[first + 1]) / (times[-1] - times[first])


if __name__ == "__main__":
    main()

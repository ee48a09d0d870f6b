"""Train steps of minibert beside those of sentence-transformers, in turn, on the same batches.

    python tools/bench.py --work train --model minilm --dataset DIR
    python tools/bench_train.py PEER FOLDER THREADS            # a process that bench.py starts

DIR is a folder in BEIR's layout: a batch is 32 pairs (--pairs) of a query and a relevant document.
A step is tokenising, forward with dropout, MultipleNegativesRanking, backward, clipping and AdamW.
Tokens are counted without padding. Memory is that of a step of 64 triples of (30, 100, 100) tokens
with MarginMSE, in a process of its own.
"""

import json
import os
import random
import statistics
import sys
import time

TRIPLES, LENGTHS = 64, (30, 100, 100)


class Minibert:
    """This library."""

    def __init__(self, folder, threads, device="cpu"):
        from minibert import SentenceTransformer, losses
        from minibert.training.optimizers import clip_, decays_all, find_optimizer

        settings = {"threads": threads, "device": device}
        self.model = SentenceTransformer(folder, on_long="ignore", **settings)
        self.losses = {"ranking": losses.MultipleNegativesRankingLoss(self.model)}
        self.losses["margins"] = losses.MarginMSELoss(self.model)
        self.trainable = self.model.trainable(seed=42, dropout=True)
        self.clip_ = clip_
        make = find_optimizer("adamw")
        self.optimizer = make(self.trainable.values, weight_decay=0.01, decays=decays_all)
        self.steps = 0

    def step(self, loss, columns, labels):
        import numpy as np

        given = None if labels is None else np.array(labels)
        self.trainable.add_gradients(columns, given, self.losses[loss], self.steps)
        gradients = self.trainable.gradients
        self.clip_(gradients, 1.0)
        self.optimizer.step(gradients, 2e-5)
        del gradients
        self.trainable.zero_gradients()
        self.trainable.refresh()
        self.steps += 1


class SentenceTransformers:
    """sentence-transformers, on torch."""

    def __init__(self, folder, threads, device="cpu"):
        import torch
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer import losses

        if threads:
            torch.set_num_threads(threads)
        self.torch = torch
        self.model = SentenceTransformer(folder, device=device, local_files_only=True).train()
        self.losses = {"ranking": losses.MultipleNegativesRankingLoss(self.model)}
        self.losses["margins"] = losses.MarginMSELoss(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=2e-5, weight_decay=0.01)

    def step(self, loss, columns, labels):
        device = self.model.device
        given = None if labels is None else self.torch.tensor(labels, device=device)
        features = [
            {
                name: value.to(device) if isinstance(value, self.torch.Tensor) else value
                for name, value in self.model.preprocess(column).items()
            }
            for column in columns
        ]
        self.losses[loss](features, given).backward()
        self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


PEERS = {"minibert": Minibert, "sentence-transformers": SentenceTransformers}


def measure(peer_of, names, folder, dataset, rounds, size):
    """Measure steps of the peers in turn, then memory; `peer_of` starts a process of a peer."""
    from bench import count_tokens

    batches = batches_of(dataset, rounds + 1, size)
    tokens = [sum(count_tokens(folder, [*batch[0], *batch[1]])) for batch in batches]
    seconds = {name: [] for name in names}
    peers = {name: peer_of(name) for name in names}
    for number, columns in enumerate(batches):
        for name, peer in peers.items():
            answer = peer.ask(loss="ranking", columns=columns)
            if number:  # the first one warms up
                seconds[name].append(answer["seconds"])
    for peer in peers.values():
        peer.__exit__()
    found = {}
    for name in names:
        speeds = [count / took for count, took in zip(tokens[1:], seconds[name], strict=True)]
        with peer_of(name) as peer:
            before = peer.ask(memory=True)["megabytes"]
            peak = peer.ask(loss="margins", **triples())["peak megabytes"]
        found[name] = {
            "seconds": seconds[name],
            "tokens per second": statistics.median(speeds),
            "megabytes loaded": before,
            "peak megabytes": peak,
        }
    return found


def batches_of(dataset, count, size):
    """Make batches of pairs of a query and a relevant document: -> [[queries, documents], ...]."""
    from minibert.evaluation import read_collection

    collection = read_collection(dataset)
    pairs = [
        (collection.queries[query], collection.documents[document])
        for query, grades in collection.qrels.items()
        for document, grade in grades.items()
        if grade > 0 and document in collection.documents
    ]
    random.Random(0).shuffle(pairs)
    batches = [pairs[start : start + size] for start in range(0, count * size, size)]
    return [[list(column) for column in zip(*batch, strict=True)] for batch in batches]


def triples():
    """Make a batch of triples whose texts have LENGTHS tokens, with margins."""
    words = random.Random(0)
    columns = [
        [
            " ".join(words.choices(["water", "wind", "stone", "tree"], k=length - 2))
            for _ in range(TRIPLES)
        ]
        for length in LENGTHS
    ]
    return {"columns": columns, "labels": [words.uniform(-1, 1) for _ in range(TRIPLES)]}


def megabytes(field):
    """Read a size of this process: VmRSS is now, VmHWM the largest so far; Linux only."""
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith(field))
    return int(line.split()[1]) // 1024


def main():
    """Answer one line after another: a step, or the memory."""
    name, folder, threads = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")  # what libraries print must not stand among the answers
    os.dup2(2, 1)
    peer = PEERS[name](folder, int(threads))
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        start = time.perf_counter()
        if "loss" in job:
            peer.step(job["loss"], job["columns"], job.get("labels"))
        answer = {"seconds": time.perf_counter() - start, "megabytes": megabytes("VmRSS")}
        answer["peak megabytes"] = megabytes("VmHWM")
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

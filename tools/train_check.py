"""Train MiniLM on half of a retrieval collection's queries, and measure it on the other half.

    python tools/train_check.py DATASET OUT

DATASET is a folder in BEIR's layout, as Cranfield's. Its queries with a relevant document are
numbered from 0 in the order of the file: odd ones train, even ones test. Pairs of a query and a
relevant document, batches of 32 without the short last one, 3 epochs, MultipleNegativesRanking,
learning rate 2e-5 with a warm-up of 10 %, AdamW with a decay of 0.01 on all tensors, clipping at 1.
After each epoch it prints nDCG@10 of the test queries. A run that was stopped goes on.
"""

import argparse
import json
import sys
from pathlib import Path

from bench_models import find

from minibert import SentenceTransformer
from minibert.evaluation import RetrievalEvaluator, read_collection
from minibert.losses import MultipleNegativesRankingLoss
from minibert.training import fit


def main():
    """Train, and print a line after each epoch."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path, help="a folder in BEIR's layout")
    parser.add_argument("out", type=Path, help="the folder of the run")
    parser.add_argument("--model", default="minilm", help="minilm, bert-base or a folder")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    collection = read_collection(options.dataset)
    queries = list(collection.queries)
    pairs = [
        {"query": collection.queries[query], "positive": collection.documents[document]}
        for query in queries[1::2]
        for document, grade in collection.qrels[query].items()
        if grade > 0
    ]
    train, test = (
        RetrievalEvaluator(half(collection, part)) for part in (queries[1::2], queries[0::2])
    )
    model = SentenceTransformer(find(options.model), threads=options.threads, on_long="ignore")
    print(f"{len(pairs)} pairs; {len(queries[1::2])} queries train, {len(queries[0::2])} test")
    show("before", test(model), train(model))
    report = fit(
        model,
        pairs,
        MultipleNegativesRankingLoss(model),
        output=options.out,
        epochs=3,
        batch_size=32,
        drop_last=True,
        lr=2e-5,
        warmup_steps=0.1,
        weight_decay=0.01,
        decay_all=True,
        max_grad_norm=1.0,
        evaluator=test,
        save_best_model=False,
        checkpoint_steps=20,
        callback=lambda score, epoch, steps: show(f"epoch {epoch + 1}", score),
        show_progress_bar=True,
    )
    show("after", test(model), train(model))
    print(json.dumps(report._asdict()))


def half(collection, queries):
    """Leave some queries of a collection, and all of its documents."""
    return collection._replace(
        queries={query: collection.queries[query] for query in queries},
        qrels={query: collection.qrels[query] for query in queries},
    )


def show(when, *scores):
    """Print nDCG@10 of a moment."""
    print(when, *(f"{score['ndcg@10']:.4f}" for score in scores), flush=True)


if __name__ == "__main__":
    sys.exit(main())

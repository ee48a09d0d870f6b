"""Run the recipe of docs/recipe.md on Cranfield, and sentence-transformers on the same triples.

    python tools/recipe_check.py minibert OUT --dataset DIR
    .venv-reference/bin/python tools/recipe_check.py sentence-transformers OUT
    python tools/recipe_check.py draw OUT

The first runs the commands of the page in OUT: it mines negatives for half of the queries, lets the
teacher score them, takes half of the teacher's layers and trains these by margins. The second
trains the same student on the same triples, in the same batches: old_fit and MarginMSELoss of
sentence-transformers, with torch. Each writes its curves, PEER.json: the loss of each step, and
nDCG@10 of the other half of the queries, before the training and after each epoch. The third
draws both into docs/pictures, and compares the models by `minibert eval`.
"""

import argparse
import contextlib
import json
import math
import shlex
import sys
from pathlib import Path

from bench_models import ROOT, find

from minibert import SentenceTransformer
from minibert.commands import cli
from minibert.evaluation import RetrievalEvaluator, read_collection

TEACHER = "sentence-transformers/all-MiniLM-L6-v2"
EPOCHS, BATCH, STEPS = 6, 32, 24  # steps of an epoch: 754 pairs, a short last batch among them
RATE, WARMUP, DECAY, TOKENS, SEED = 1e-4, 0.1, 0.01, 128, 42

# As on the page, word for word; each is run if its last file or folder is not there.
COMMANDS = {
    "triples.jsonl": f"minibert mine {TEACHER} cranfield --qrels train.tsv --output triples.jsonl "
    f"--num-negatives 1 --sampling random --range-max 60 --seed {SEED}",
    "scored.jsonl": f"minibert label {TEACHER} triples.jsonl --output scored.jsonl",
    "student": f"minibert convert {TEACHER} student --layers 0,2,4",
    "distilled": "minibert train ./student scored.jsonl --output distilled --loss margin-mse "
    f"--lr 1e-4 --warmup-steps {WARMUP} --epochs {EPOCHS} --batch-size {BATCH} "
    f"--max-seq-length {TOKENS} --checkpoint-steps {STEPS} --checkpoint-limit {EPOCHS}",
}
PEERS = ("minibert", "sentence-transformers")
PICTURES = ROOT / "docs" / "pictures"


def main():
    """Run one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=[*PEERS, "draw"])
    parser.add_argument("out", type=Path, help="the folder of all files")
    parser.add_argument("--dataset", type=Path, help="Cranfield as a folder in BEIR's layout")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.out = options.out.resolve()
    if options.part == "minibert":
        prepare(options.out, options.dataset)
        with contextlib.chdir(options.out):  # the commands name files there
            train_here(options)
    elif options.part == "sentence-transformers":
        train_there(options)
    else:
        draw(options.out)


def prepare(out, dataset):
    """Put the collection and the two halves of its judgements into the folder."""
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "cranfield").exists():
        (out / "cranfield").symlink_to(dataset.resolve())
    judged = read_collection(out / "cranfield").qrels
    queries = list(read_collection(out / "cranfield").queries)
    for name, part in (("train", queries[1::2]), ("test", queries[0::2])):
        rows = (
            f"{id}\t{document}\t{grade}\n" for id in part for document, grade in judged[id].items()
        )
        (out / f"{name}.tsv").write_text("".join(rows))


def train_here(options):
    """Run the commands of the page."""
    for made, command in COMMANDS.items():
        words = shlex.split(command.replace(TEACHER, str(find("minilm"))))[1:]
        if made == "distilled" or not (options.out / made).exists():
            print(command, flush=True)
            with_threads = [*words, "--threads", str(options.threads)]
            code = cli.main(words if made == "student" else with_threads)
            if code:
                sys.exit(code)
    log = (json.loads(line) for line in (options.out / "distilled" / "training.jsonl").open())
    losses = [record["loss"] for record in log if "loss" in record]
    keep_curves(options, "minibert", losses, options.out / "distilled" / "checkpoints", "step-")


def train_there(options):
    """Train with sentence-transformers: its old fit, whose loop is written out in one function."""
    import sentence_transformers
    import torch
    from sentence_transformers.sentence_transformer.losses import MarginMSELoss

    from minibert.training.order import Order

    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    losses = []

    class Noted(MarginMSELoss):
        """MarginMSELoss that notes its values."""

        def forward(self, features, labels):
            loss = super().forward(features, labels)
            losses.append(loss.item())
            print(len(losses), losses[-1], flush=True)
            return loss

    class Batches:
        """Numbers of the rows of each batch, in minibert's order: one epoch for each call."""

        def __init__(self, rows):
            self.order, self.step = Order(rows, BATCH, seed=SEED), 0

        def __len__(self):
            return len(self.order)

        def __iter__(self):
            for _ in range(len(self.order)):
                yield self.order.batch(self.step).tolist()
                self.step += 1

    rows = [json.loads(line) for line in (options.out / "scored.jsonl").open(encoding="utf-8")]
    examples = [
        sentence_transformers.InputExample(
            texts=[row["query"], row["positive"], row["negative"]], label=row["scores"]
        )
        for row in rows
    ]
    model = sentence_transformers.SentenceTransformer(str(options.out / "student"), device="cpu")
    model.max_seq_length = TOKENS
    batches = torch.utils.data.DataLoader(examples, batch_sampler=Batches(len(examples)))
    model.old_fit(
        [(batches, Noted(model))],
        epochs=EPOCHS,
        warmup_steps=math.ceil(WARMUP * EPOCHS * len(batches)),
        optimizer_params={"lr": RATE},
        weight_decay=DECAY,
        show_progress_bar=False,
        checkpoint_path=str(options.out / "reference"),
        checkpoint_save_steps=len(batches),
    )
    keep_curves(options, "sentence-transformers", losses, options.out / "reference")


def keep_curves(options, peer, losses, checkpoints, prefix=""):
    """Measure the model of each epoch, and write the curves of a peer."""
    collection = read_collection(options.out / "cranfield", options.out / "test.tsv")
    measure = RetrievalEvaluator(collection)
    folders = [options.out / "student"]
    folders += [checkpoints / f"{prefix}{STEPS * (epoch + 1)}" for epoch in range(EPOCHS)]
    scores = []
    for folder in folders:
        model = SentenceTransformer(folder, threads=options.threads, on_long="ignore")
        scores.append(measure(model)["ndcg@10"])
        print(folder, f"{scores[-1]:.4f}", flush=True)
    curves = {"loss": losses, "ndcg@10": scores}
    (options.out / f"{peer}.json").write_text(json.dumps(curves))


def draw(out):
    """Draw the curves of both, and compare the models."""
    from minibert.pictures.curves import curves_svg

    curves = {peer: json.loads((out / f"{peer}.json").read_text()) for peer in PEERS}
    PICTURES.mkdir(exist_ok=True)
    losses = {
        peer: (range(1, len(curve["loss"]) + 1), curve["loss"]) for peer, curve in curves.items()
    }
    picture = curves_svg(losses, "MarginMSE of each step", "step", "loss")
    (PICTURES / "recipe-loss.svg").write_text(picture, encoding="utf-8")
    scores = {
        peer: (range(len(curve["ndcg@10"])), curve["ndcg@10"]) for peer, curve in curves.items()
    }
    picture = curves_svg(scores, "nDCG@10 of the test queries", "epoch", "nDCG@10")
    (PICTURES / "recipe-ndcg.svg").write_text(picture, encoding="utf-8")
    last = str(out / "reference" / str(STEPS * EPOCHS))
    models = {"teacher": str(find("minilm")), "before": str(out / "student"), "reference": last}
    for name, folder in models.items():
        print(f"{name}:", flush=True)
        half = [str(out / "cranfield"), "--qrels", str(out / "test.tsv")]
        cli.main(["eval", str(out / "distilled"), *half, "--against", folder])


if __name__ == "__main__":
    sys.exit(main())

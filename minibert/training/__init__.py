"""Training: data -> batches -> a loss, its gradients, and a step of an optimizer.

It takes a model by a Protocol, and evaluation as a callable. In reading order:

- loop: fit, from data and a loss to a trained model: steps, evaluations, checkpoints
- recipe: the numbers of a run
- advice: warnings of what a run does that is seldom meant
- reference_fit: the same loop for SentenceTransformer.fit, as sentence-transformers has it
- trainable: the protocol of a model that is trained
- examples: a file, or rows of a program -> checked examples on disk
- columns: rows -> texts in the order of a loss, and labels
- order, batches: the examples of each batch, by seed and step
- hard_negatives: mine_hard_negatives, from pairs and a model to pairs with negatives, by way of
  pairs: data -> texts, each once, and the positives of each query
  embedded: texts -> vectors, kept in a folder
  candidates: vectors -> the nearest documents, their scores, the filters
  mined: queries, positives and negatives -> rows in a format, and statistics
- labels: label, from rows and a teacher to rows with its scores
- labels_file: the same rows in a file, for a run that may be stopped
- loader: InputExample and DataLoader, as scripts for sentence-transformers use them
- losses/: vectors of a batch -> a loss and its gradients by the vectors, a file for each kind
- packs, sums: packs of whole examples, and gradients of packs, summed in one order
- optimizers, schedules: gradients -> changed tensors, and the learning rate of each step
- evaluators: the score by which one model is better than another
- checkpoints: the folder of a run, from which it goes on
- model_card: README.md of a trained model

The names below are for programs. Each is loaded at its first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minibert.training.hard_negatives import mine_hard_negatives
    from minibert.training.labels import label
    from minibert.training.loader import DataLoader, Dataset, InputExample
    from minibert.training.loop import Report, fit
    from minibert.training.losses import LOSSES
    from minibert.training.optimizers import OPTIMIZERS, AdamW, TransformersAdamW
    from minibert.training.schedules import SCHEDULES

__all__ = [
    "LOSSES",
    "OPTIMIZERS",
    "SCHEDULES",
    "AdamW",
    "DataLoader",
    "Dataset",
    "InputExample",
    "Report",
    "TransformersAdamW",
    "fit",
    "label",
    "mine_hard_negatives",
]

# A name -> its module, which is loaded at the name's first use.
LAZY_NAMES = {
    "LOSSES": "minibert.training.losses",
    "OPTIMIZERS": "minibert.training.optimizers",
    "SCHEDULES": "minibert.training.schedules",
    "AdamW": "minibert.training.optimizers",
    "DataLoader": "minibert.training.loader",
    "Dataset": "minibert.training.loader",
    "InputExample": "minibert.training.loader",
    "Report": "minibert.training.loop",
    "TransformersAdamW": "minibert.training.optimizers",
    "fit": "minibert.training.loop",
    "label": "minibert.training.labels",
    "mine_hard_negatives": "minibert.training.hard_negatives",
}


def __getattr__(name: str) -> object:
    """Load a public name of the table."""
    if name not in LAZY_NAMES:
        raise AttributeError(f"module 'minibert.training' has no attribute {name!r}")
    return getattr(import_module(LAZY_NAMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

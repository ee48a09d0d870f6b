"""Name of the one evaluator of sentence-transformers that is refused, with advice."""

from __future__ import annotations

__all__ = ["LabelAccuracyEvaluator"]


class LabelAccuracyEvaluator:
    """Refuses to be made: it needs a classifier of torch on top of the model."""

    def __init__(self, *arguments: object, **named: object) -> None:
        """Raise NotImplementedError, with the evaluators to take instead."""
        raise NotImplementedError(
            "LabelAccuracyEvaluator computes a softmax_model of torch, and minibert computes no "
            "model of torch. Take BinaryClassificationEvaluator for pairs, or "
            "CrossEncoderClassificationEvaluator for a cross-encoder with several labels."
        )

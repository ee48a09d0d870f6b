"""Evaluator of the search for paraphrases, with sentence-transformers' name and measures."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from minibert.evaluation.agreement import average_precision_of, highest_f1
from minibert.evaluation.sentence_evaluator import Encodes, SentenceEvaluator, results_file
from minibert.models.paraphrases import paraphrase_mining

__all__ = ["ParaphraseMiningEvaluator"]


class ParaphraseMiningEvaluator(SentenceEvaluator):
    """Mines texts for pairs that mean the same, and compares these with known pairs.

    Measures are "average_precision", and the highest "f1" with its "precision", "recall" and
    "threshold".
    """

    def __init__(
        self,
        sentences_map: Mapping[str, str],
        duplicates_list: Iterable[tuple[str, str]] | None = None,
        duplicates_dict: Mapping[str, Mapping[str, bool]] | None = None,
        add_transitive_closure: bool = False,
        query_chunk_size: int = 5000,
        corpus_chunk_size: int = 100000,
        max_pairs: int = 500000,
        top_k: int = 100,
        show_progress_bar: bool = False,
        batch_size: int = 16,
        name: str = "",
        write_csv: bool = True,
        truncate_dim: int | None = None,
    ) -> None:
        """Take texts by their ids, and pairs of ids that mean the same.

        The pairs are a list, or a dict of dicts in which those are True. Pairs of an unknown id
        are left out. `add_transitive_closure` adds (a, c) to (a, b) and (b, c). The other
        arguments are those of paraphrase_mining, and of the other evaluators.
        """
        super().__init__()
        self.ids = list(sentences_map)  # of the texts
        self.sentences = list(sentences_map.values())  # the texts
        graph: dict[Any, dict[Any, bool]] = {}
        for one, others in (duplicates_dict or {}).items():
            for other, is_duplicate in others.items():
                graph.setdefault(one, {})[other] = bool(is_duplicate)
        for one, other in duplicates_list or ():
            if one in sentences_map and other in sentences_map:
                graph.setdefault(one, {})[other] = graph.setdefault(other, {})[one] = True
        if add_transitive_closure:
            self.add_transitive_closure(graph)
        self._closed = add_transitive_closure
        numbers = {id: number for number, id in enumerate(self.ids)}
        # Pairs of numbers, the smaller first.
        self._duplicates = {
            (min(numbers[one], numbers[other]), max(numbers[one], numbers[other]))
            for one, others in graph.items()
            for other, is_duplicate in others.items()
            if is_duplicate and one in numbers and other in numbers
        }
        self.query_chunk_size = query_chunk_size  # texts that are compared at a time
        self.corpus_chunk_size = corpus_chunk_size  # texts that they are compared with at a time
        self.max_pairs = max_pairs  # number of pairs that are looked at
        self.top_k = top_k  # number of neighbours of a text that are looked at
        self._set_up(
            name, results_file("paraphrase_mining_evaluation", name), write_csv,
            headers=["precision", "recall", "f1", "threshold", "average_precision"],
            primary="average_precision",
            batch_size=batch_size, show_progress_bar=show_progress_bar, truncate_dim=truncate_dim,
        )  # fmt: skip

    @property
    def total_num_duplicates(self) -> int:
        """Number of known pairs, each counted once."""
        return len(self._duplicates)

    def __call__(
        self,
        model: Encodes,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the measures of a model."""
        pairs = paraphrase_mining(
            model,
            self.sentences,
            self.show_progress_bar or False,
            self.batch_size or 16,
            self.query_chunk_size,
            self.corpus_chunk_size,
            self.max_pairs,
            self.top_k,
            truncate_dim=self.truncate_dim,
        )
        scores = [pair[0] for pair in pairs]
        labels = [(pair[1], pair[2]) in self._duplicates for pair in pairs]
        total = self.total_num_duplicates
        f1, precision, recall, threshold = highest_f1(scores, labels, positives=total)
        metrics = {
            "average_precision": average_precision_of(scores, labels, positives=total),
            "f1": f1,
            "precision": precision,
            "recall": recall,
            "threshold": threshold,
        }
        row = [precision, recall, f1, threshold, metrics["average_precision"]]
        return self._report(model, metrics, (output_path, epoch, steps), row)

    @staticmethod
    def add_transitive_closure(
        graph: dict[Any, dict[Any, bool]],  # ids may be of any kind
    ) -> dict[Any, dict[Any, bool]]:  # the same one
        """Make all ids that are joined by some pairs a pair of each other, in place."""
        joined: set[Hashable] = set()
        for start in list(graph):
            if start in joined:
                continue
            members, waiting = {start}, [start]
            while waiting:
                for other, is_duplicate in graph.get(waiting.pop(), {}).items():
                    if is_duplicate and other not in members:
                        members.add(other)
                        waiting.append(other)
            joined |= members
            for one in members:
                graph.setdefault(one, {}).update(dict.fromkeys(members - {one}, True))
        return graph

    def get_config_dict(self) -> dict[str, Any]:  # values of JSON
        """Return the settings that change the result."""
        return {
            "add_transitive_closure": self._closed,
            **self._settings("max_pairs", "top_k", "truncate_dim"),
        }

"""Measure how good a model is, or a ranking: on a collection, on pairs, or in a file of a run.

- `collection`: documents, queries, judgements and runs, read and written
- `measures`: one row per measure; means, and p-values of differences
- `retrieval`: a model and a collection -> rankings -> measures
- `evaluator`: the same as a callable for training
- `sample/`: a small collection of our own, `SAMPLE`

Evaluators under sentence-transformers' names:

- `sentence_evaluator`: their frame, and a sequence of several
- `agreement`: scores and labels -> correlations, thresholds, F1
- `pair_evaluators`: vectors in pairs: similar or not, how similar, which of two is closer
- `information_retrieval`: a search
- `cross_encoder_evaluators`, `reranking`: scores of pairs, rankings of a query's documents
- `paraphrase_mining`, `parallel_texts`: duplicates; translations, and a teacher's vectors
- `nano_beir`: collections of the hub
- `label_accuracy`: the one that is refused
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minibert.evaluation.collection import (
        SAMPLE,
        Collection,
        Qrels,
        Ranking,
        read_collection,
        read_qrels,
        read_run,
        write_run,
    )
    from minibert.evaluation.cross_encoder_evaluators import (
        CrossEncoderClassificationEvaluator,
        CrossEncoderCorrelationEvaluator,
    )
    from minibert.evaluation.evaluator import RetrievalEvaluator
    from minibert.evaluation.information_retrieval import InformationRetrievalEvaluator
    from minibert.evaluation.label_accuracy import LabelAccuracyEvaluator
    from minibert.evaluation.measures import (
        MEASURES,
        Found,
        Measured,
        compare,
        means,
        measure,
        randomisation_test,
    )
    from minibert.evaluation.nano_beir import CrossEncoderNanoBEIREvaluator, NanoBEIREvaluator
    from minibert.evaluation.pair_evaluators import (
        BinaryClassificationEvaluator,
        EmbeddingSimilarityEvaluator,
        TripletEvaluator,
    )
    from minibert.evaluation.parallel_texts import (
        MSEEvaluator,
        MSEEvaluatorFromDataFrame,
        TranslationEvaluator,
    )
    from minibert.evaluation.paraphrase_mining import ParaphraseMiningEvaluator
    from minibert.evaluation.reranking import CrossEncoderRerankingEvaluator, RerankingEvaluator
    from minibert.evaluation.retrieval import measured, rankings
    from minibert.evaluation.sentence_evaluator import SentenceEvaluator, SequentialEvaluator
    from minibert.scoring.similarity import SimilarityFunction

    BaseEvaluator = SentenceEvaluator
    CEBinaryAccuracyEvaluator = CrossEncoderClassificationEvaluator
    CEBinaryClassificationEvaluator = CrossEncoderClassificationEvaluator
    CECorrelationEvaluator = CrossEncoderCorrelationEvaluator
    CEF1Evaluator = CrossEncoderClassificationEvaluator
    CERerankingEvaluator = CrossEncoderRerankingEvaluator
    CESoftmaxAccuracyEvaluator = CrossEncoderClassificationEvaluator

__all__ = [
    "MEASURES",
    "SAMPLE",
    "BaseEvaluator",
    "BinaryClassificationEvaluator",
    "CEBinaryAccuracyEvaluator",
    "CEBinaryClassificationEvaluator",
    "CECorrelationEvaluator",
    "CEF1Evaluator",
    "CERerankingEvaluator",
    "CESoftmaxAccuracyEvaluator",
    "Collection",
    "CrossEncoderClassificationEvaluator",
    "CrossEncoderCorrelationEvaluator",
    "CrossEncoderNanoBEIREvaluator",
    "CrossEncoderRerankingEvaluator",
    "EmbeddingSimilarityEvaluator",
    "Found",
    "InformationRetrievalEvaluator",
    "LabelAccuracyEvaluator",
    "MSEEvaluator",
    "MSEEvaluatorFromDataFrame",
    "Measured",
    "NanoBEIREvaluator",
    "ParaphraseMiningEvaluator",
    "Qrels",
    "Ranking",
    "RerankingEvaluator",
    "RetrievalEvaluator",
    "SentenceEvaluator",
    "SequentialEvaluator",
    "SimilarityFunction",
    "TranslationEvaluator",
    "TripletEvaluator",
    "compare",
    "means",
    "measure",
    "measured",
    "randomisation_test",
    "rankings",
    "read_collection",
    "read_qrels",
    "read_run",
    "write_run",
]

# A module -> the public names that are loaded from it, at the first use of one.
NAMES_OF_MODULES = {
    "minibert.evaluation.collection": (
        *("SAMPLE", "Collection", "Qrels", "Ranking", "read_collection", "read_qrels"),
        *("read_run", "write_run"),
    ),
    "minibert.evaluation.cross_encoder_evaluators": (
        "CrossEncoderClassificationEvaluator",
        "CrossEncoderCorrelationEvaluator",
    ),
    "minibert.evaluation.evaluator": ("RetrievalEvaluator",),
    "minibert.evaluation.information_retrieval": ("InformationRetrievalEvaluator",),
    "minibert.evaluation.label_accuracy": ("LabelAccuracyEvaluator",),
    "minibert.evaluation.measures": (
        *("MEASURES", "Found", "Measured", "compare", "means", "measure", "randomisation_test"),
    ),
    "minibert.evaluation.nano_beir": ("CrossEncoderNanoBEIREvaluator", "NanoBEIREvaluator"),
    "minibert.evaluation.pair_evaluators": (
        *("BinaryClassificationEvaluator", "EmbeddingSimilarityEvaluator", "TripletEvaluator"),
    ),
    "minibert.evaluation.parallel_texts": (
        *("MSEEvaluator", "MSEEvaluatorFromDataFrame", "TranslationEvaluator"),
    ),
    "minibert.evaluation.paraphrase_mining": ("ParaphraseMiningEvaluator",),
    "minibert.evaluation.reranking": ("CrossEncoderRerankingEvaluator", "RerankingEvaluator"),
    "minibert.evaluation.retrieval": ("measured", "rankings"),
    "minibert.evaluation.sentence_evaluator": (
        *("BaseEvaluator", "SentenceEvaluator", "SequentialEvaluator"),
    ),
    "minibert.scoring.similarity": ("SimilarityFunction",),
}
# Older names of the reference's -> the class that has replaced them.
OLDER_NAMES = {
    "CEBinaryAccuracyEvaluator": "CrossEncoderClassificationEvaluator",
    "CEBinaryClassificationEvaluator": "CrossEncoderClassificationEvaluator",
    "CECorrelationEvaluator": "CrossEncoderCorrelationEvaluator",
    "CEF1Evaluator": "CrossEncoderClassificationEvaluator",
    "CERerankingEvaluator": "CrossEncoderRerankingEvaluator",
    "CESoftmaxAccuracyEvaluator": "CrossEncoderClassificationEvaluator",
}
LAZY_NAMES = {name: module for module, names in NAMES_OF_MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a public name of the tables."""
    current = OLDER_NAMES.get(name, name)
    if current not in LAZY_NAMES:
        raise AttributeError(f"module 'minibert.evaluation' has no attribute {name!r}")
    return getattr(import_module(LAZY_NAMES[current]), current)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Measure a model on pairs, triplets and a small collection."""

import sys
import tempfile
from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import (
    BinaryClassificationEvaluator,
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
    MSEEvaluator,
    ParaphraseMiningEvaluator,
    RerankingEvaluator,
    SequentialEvaluator,
    TranslationEvaluator,
    TripletEvaluator,
)

model = SentenceTransformer(sys.argv[1], device="cpu")

first = ["A dog barks.", "The sun is shining.", "He cooks rice.", "She reads a book.", "It rains."]
second = [
    "A dog is loud.", "The weather is sunny.", "Trains are late.", "A woman reads.", "A cat naps.",
]  # fmt: skip
others = [*second[2:], *second[:2]]
scores = [0.9, 0.8, 0.05, 0.85, 0.1]
corpus = {f"d{number}": text for number, text in enumerate(first + second)}
relevant = {f"q{number}": {f"d{number + 5}"} for number in range(5)}

evaluators = [
    EmbeddingSimilarityEvaluator(first, second, scores, name="sts", main_similarity="cosine"),
    BinaryClassificationEvaluator(first, second, [1, 1, 0, 1, 0], name="pairs"),
    TripletEvaluator(first, second, others, name="triplets"),
    InformationRetrievalEvaluator(
        {f"q{number}": text for number, text in enumerate(first)}, corpus, relevant,
        name="search", accuracy_at_k=[1, 2], precision_recall_at_k=[2], map_at_k=[10],
    ),
    RerankingEvaluator(
        [
            {"query": query, "positive": [text], "negative": [other]}
            for query, text, other in zip(first, second, others, strict=True)
        ],
        name="rerank",
    ),
    ParaphraseMiningEvaluator(corpus, [("d0", "d5"), ("d1", "d6"), ("d3", "d8")], name="mining"),
    TranslationEvaluator(first, second, name="words"),
    MSEEvaluator(first, second, teacher_model=model, name="teacher"),
]  # fmt: skip
evaluator = SequentialEvaluator(evaluators)
with tempfile.TemporaryDirectory() as folder:
    results = model.evaluate(evaluator, folder)
    for name, value in results.items():
        print(name, f"{value:.4f}")
    for path in sorted(Path(folder).iterdir()):
        print(path.name, path.read_text().splitlines()[0])
for one in evaluators:
    print(one.description, one.primary_metric)

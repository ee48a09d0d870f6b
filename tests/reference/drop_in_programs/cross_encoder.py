"""Score pairs of sentences, rank passages, and measure the ranking."""

import sys

import numpy as np
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder.evaluation import (
    CrossEncoderClassificationEvaluator,
    CrossEncoderCorrelationEvaluator,
    CrossEncoderRerankingEvaluator,
)

model = CrossEncoder(sys.argv[2], device="cpu")

query = "A man is eating pasta."
corpus = [
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "The girl is carrying a baby.",
    "A man is riding a horse.",
    "A woman is playing violin.",
    "Two men pushed carts through the woods.",
]

ranks = model.rank(query, corpus)
print("Query:", query)
for rank in ranks:
    print(f"{rank['score']:.4f}\t{corpus[rank['corpus_id']]}")
first = model.rank(query, corpus, return_documents=True, top_k=2)
print([hit["text"] for hit in first])

pairs = [[query, sentence] for sentence in corpus]
scores = model.predict(pairs, batch_size=2, show_progress_bar=False)
print(scores.dtype, scores.shape)
for number in reversed(np.argsort(scores)):
    print(f"{scores[number]:.4f}\t{corpus[number]}")
tensor = model.predict(pairs, convert_to_tensor=True)
print(type(tensor).__name__, tuple(tensor.shape), model.num_labels)
print(f"{model.predict(('a cat', 'a dog')):.4f}")

labels = [1, 1, 0, 0, 0, 0]
for evaluator in (
    CrossEncoderClassificationEvaluator(pairs, labels, name="pairs"),
    CrossEncoderCorrelationEvaluator(pairs, [0.9, 0.8, 0.1, 0.3, 0.2, 0.15], name="sts"),
    CrossEncoderRerankingEvaluator(
        [{"query": query, "positive": corpus[:2], "negative": corpus[2:]}], name="rerank"
    ),
):
    results = evaluator(model)
    print(evaluator.primary_metric, {name: f"{value:.4f}" for name, value in results.items()})

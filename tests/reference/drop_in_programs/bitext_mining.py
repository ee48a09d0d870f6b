"""Pair sentences of two lists that say the same, by their margins (Artetxe and Schwenk 2018)."""

import sys

import numpy as np
from sentence_transformers import SentenceTransformer, util

model = SentenceTransformer(sys.argv[1], device="cpu")
knn_neighbors = 3
min_threshold = 1.0

# Two editions of one report, in different words and another order.
source_sentences = [
    "The ship left the harbour at dawn.",
    "Nobody was hurt in the fire.",
    "The bridge will be closed until June.",
    "Prices rose by three percent.",
    "The mayor thanked the volunteers.",
    "This sentence has no counterpart.",
]
target_sentences = [
    "Until June no car may cross the bridge.",
    "At daybreak the vessel sailed from the port.",
    "The helpers were thanked by the mayor.",
    "The fire caused no injuries.",
    "Goods became three percent more expensive.",
    "The weather stays dry.",
    "A museum opens in autumn.",
]

x = model.encode(source_sentences, normalize_embeddings=True)
y = model.encode(target_sentences, normalize_embeddings=True)


def nearest(queries, corpus):
    hits = util.semantic_search(queries, corpus, top_k=knn_neighbors, score_function=util.dot_score)
    scores = np.array([[hit["score"] for hit in row] for row in hits])
    return scores, [[hit["corpus_id"] for hit in row] for row in hits]


x2y_sim, x2y_ind = nearest(x, y)
y2x_sim, y2x_ind = nearest(y, x)
x2y_mean, y2x_mean = x2y_sim.mean(axis=1), y2x_sim.mean(axis=1)


def margins(scores, numbers, own, others):
    return np.array(
        [
            [score / ((own[i] + others[j]) / 2) for score, j in zip(row, row_numbers, strict=True)]
            for i, (row, row_numbers) in enumerate(zip(scores, numbers, strict=True))
        ]
    )


print(x.shape, y.shape)
forward = margins(x2y_sim, x2y_ind, x2y_mean, y2x_mean)
backward = margins(y2x_sim, y2x_ind, y2x_mean, x2y_mean)
candidates = [(forward[i].max(), i, x2y_ind[i][forward[i].argmax()]) for i in range(len(x))]
candidates += [(backward[j].max(), y2x_ind[j][backward[j].argmax()], j) for j in range(len(y))]

seen_source, seen_target = set(), set()
for score, i, j in sorted(candidates, reverse=True):
    if score < min_threshold:
        break
    if i not in seen_source and j not in seen_target:
        seen_source.add(i)
        seen_target.add(j)
        print(f"{score:.4f}\t{source_sentences[i]}\t{target_sentences[j]}")
print(len(candidates), "candidates,", len(seen_source), "pairs")
print(f"{util.pairwise_cos_sim(x[:3], y[:3])[1]:.4f}")

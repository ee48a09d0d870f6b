"""Merge sentences into clusters, as many as a distance leaves."""

import sys

import numpy as np
from sentence_transformers import SentenceTransformer
from sklearn.cluster import AgglomerativeClustering

embedder = SentenceTransformer(sys.argv[1], device="cpu")

corpus = [
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "A man is eating pasta.",
    "The girl is carrying a baby.",
    "The baby is carried by the woman.",
    "A man is riding a horse.",
    "A man is riding a white horse on an enclosed ground.",
    "A monkey is playing drums.",
    "Someone in a gorilla costume is playing a set of drums.",
    "A cheetah is running behind its prey.",
    "A cheetah chases prey across a field.",
]
corpus_embeddings = embedder.encode(corpus)
# Unit length, so that Euclidean distances are those of cosines.
corpus_embeddings /= np.linalg.norm(corpus_embeddings, axis=1, keepdims=True)

clustering_model = AgglomerativeClustering(n_clusters=None, distance_threshold=1.2)
clustering_model.fit(corpus_embeddings)

clustered_sentences = {}
for sentence_id, cluster_id in enumerate(clustering_model.labels_):
    clustered_sentences.setdefault(int(cluster_id), []).append(corpus[sentence_id])
for number, cluster in clustered_sentences.items():
    print("Cluster", number + 1)
    print(cluster)
    print()
print([f"{distance:.3f}" for distance in embedder.similarity(*corpus_embeddings[:2, None]).ravel()])

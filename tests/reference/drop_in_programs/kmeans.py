"""Group sentences into a given number of clusters with k-means."""

import sys

from sentence_transformers import SentenceTransformer
from sklearn.cluster import KMeans

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

num_clusters = 5
clustering_model = KMeans(n_clusters=num_clusters, random_state=0, n_init=10)
clustering_model.fit(corpus_embeddings)

clustered_sentences = [[] for _ in range(num_clusters)]
for sentence_id, cluster_id in enumerate(clustering_model.labels_):
    clustered_sentences[cluster_id].append(corpus[sentence_id])

for number, cluster in enumerate(clustered_sentences, start=1):
    print("Cluster", number)
    print(cluster)
    print()
print(f"{clustering_model.inertia_:.3f}")

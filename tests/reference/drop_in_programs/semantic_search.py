"""Find the sentences that are closest to a question, in three ways."""

import sys

import numpy as np
from sentence_transformers import SentenceTransformer, util

embedder = SentenceTransformer(sys.argv[1], device="cpu")

corpus = [
    "The heart pumps blood through the body.",
    "A violin has four strings.",
    "Plants turn light into sugar.",
    "The stock market fell on Monday.",
    "A drum is hit with sticks or with the hands.",
    "Leaves are green because of chlorophyll.",
    "Veins carry blood back to the heart.",
    "The central bank lowered its rate.",
]
corpus_embeddings = embedder.encode_document(corpus, convert_to_tensor=True)

queries = [
    "How do plants live from the sun?",
    "Which instruments are played with a bow?",
    "What happens to the economy?",
]

top_k = min(3, len(corpus))
for query in queries:
    query_embedding = embedder.encode_query(query, convert_to_tensor=True)
    hits = util.semantic_search(query_embedding, corpus_embeddings, top_k=top_k)[0]
    print("\nQuery:", query)
    for hit in hits:
        print(corpus[hit["corpus_id"]], f"(Score: {hit['score']:.4f})")

    # The same by hand, with the similarity that the model was trained for.
    scores = np.asarray(embedder.similarity(query_embedding, corpus_embeddings))[0]
    by_hand = np.argsort(-scores)[:top_k]
    print([int(number) for number in by_hand] == [hit["corpus_id"] for hit in hits])

# And all queries at once, on normalised vectors, by the dot product.
query_embeddings = embedder.encode_query(queries, convert_to_tensor=True)
all_hits = util.semantic_search(
    util.normalize_embeddings(query_embeddings),
    util.normalize_embeddings(corpus_embeddings),
    score_function=util.dot_score,
    top_k=2,
    query_chunk_size=2,
    corpus_chunk_size=3,
)
for query, hits in zip(queries, all_hits, strict=True):
    print(query, [(hit["corpus_id"], f"{hit['score']:.3f}") for hit in hits])

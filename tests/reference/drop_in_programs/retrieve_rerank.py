"""Find passages with a fast model, then rank them again with a slower one."""

import sys

from sentence_transformers import CrossEncoder, SentenceTransformer, util

bi_encoder = SentenceTransformer(sys.argv[1], device="cpu")
bi_encoder.max_seq_length = 64
top_k = 5
cross_encoder = CrossEncoder(sys.argv[2], device="cpu")

passages = [
    "The Danube flows through ten countries and ends in the Black Sea.",
    "The Rhine rises in the Alps and reaches the North Sea near Rotterdam.",
    "Penguins live in the southern hemisphere, and cannot fly.",
    "An albatross can glide for hours without a beat of its wings.",
    "Vienna lies on the Danube, and so do Budapest and Belgrade.",
    "Basel is a port on the Rhine.",
    "Ostriches are the largest birds, and run faster than any other.",
    "The Thames has tides as far as Teddington.",
]
print("Passages:", len(passages))
corpus_embeddings = bi_encoder.encode(passages, convert_to_tensor=True, show_progress_bar=False)


def search(query):
    print("Input question:", query)
    question_embedding = bi_encoder.encode(query, convert_to_tensor=True)
    hits = util.semantic_search(question_embedding, corpus_embeddings, top_k=top_k)[0]

    cross_inputs = [[query, passages[hit["corpus_id"]]] for hit in hits]
    cross_scores = cross_encoder.predict(cross_inputs)
    for hit, score in zip(hits, cross_scores, strict=True):
        hit["cross-score"] = score

    print(f"Top-{top_k} Bi-Encoder Retrieval hits")
    for hit in sorted(hits, key=lambda hit: hit["score"], reverse=True):
        print(f"\t{hit['score']:.3f}\t{passages[hit['corpus_id']]}")

    print(f"Top-{top_k} Cross-Encoder Re-ranker hits")
    for hit in sorted(hits, key=lambda hit: hit["cross-score"], reverse=True):
        print(f"\t{hit['cross-score']:.3f}\t{passages[hit['corpus_id']]}")


search("Which towns lie on a large river?")
search("Which birds do not fly?")

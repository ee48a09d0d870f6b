"""Search a small corpus, then rank what was found more closely by other metrics."""

import sys

from sentence_transformers import SentenceTransformer, util

corpus = [
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "The girl is carrying a baby.",
    "A man is riding a horse.",
    "A woman is playing violin.",
    "Two men pushed carts through the woods.",
    "A man is riding a white horse on an enclosed ground.",
    "A monkey is playing drums.",
    "A cheetah is running behind its prey.",
]
queries = [
    "A man is eating pasta.",
    "Someone in a gorilla costume is playing a set of drums.",
    "A cheetah chases prey on across a field.",
]

model = SentenceTransformer(sys.argv[1], device="cpu")
model.max_seq_length = 64
corpus_embeddings = model.encode_document(corpus, batch_size=4, show_progress_bar=False)
query_embeddings = model.encode_query(queries, normalize_embeddings=True)
print(model.similarity_fn_name, model.get_sentence_embedding_dimension(), corpus_embeddings.shape)

for query, hits in zip(
    queries, util.semantic_search(query_embeddings, corpus_embeddings, top_k=3), strict=True
):
    print("Query:", query)
    for hit in hits:
        print(f"{hit['score']:.4f}", corpus[hit["corpus_id"]])

similarities = model.similarity(query_embeddings, corpus_embeddings)
print([int(row.argmax()) for row in similarities])
print(f"{float(util.cos_sim(query_embeddings[0], corpus_embeddings[1])[0][0]):.4f}")
print([f"{float(s):.4f}" for s in util.pairwise_cos_sim(query_embeddings, corpus_embeddings[:3])])

codes = model.encode(corpus, precision="binary")
print(codes.dtype, codes.shape)
print(len(model.tokenizer.encode(queries[0])), model.tokenizer.tokenize(queries[0]))
print(model[0].max_seq_length, len(model.preprocess(queries)["input_ids"]))

"""List the pairs of sentences that mean the same."""

import sys

from sentence_transformers import SentenceTransformer, util

model = SentenceTransformer(sys.argv[1], device="cpu")

sentences = [
    "The cat sits outside",
    "A man is playing guitar",
    "I love pasta",
    "The new movie is awesome",
    "The cat plays in the garden",
    "A woman watches TV",
    "The new movie is so great",
    "Do you like pizza?",
    "Somebody plays a guitar",
    "Pasta is my favourite dish",
]

paraphrases = util.paraphrase_mining(model, sentences)
print(len(paraphrases))
for score, i, j in paraphrases[:10]:
    print(f"{sentences[i]} \t\t {sentences[j]} \t\t Score: {score:.4f}")

few = util.paraphrase_mining(
    model, sentences, query_chunk_size=3, corpus_chunk_size=4, top_k=2, max_pairs=6
)
print([(i, j) for _, i, j in few])

embeddings = model.encode(sentences, normalize_embeddings=True)
same = util.paraphrase_mining_embeddings(embeddings, score_function=util.dot_score, top_k=1)
print([(f"{score:.3f}", i, j) for score, i, j in same])

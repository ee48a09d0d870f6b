"""Answer "was this asked before?" for new questions, and drop repeated ones from a list."""

import sys

from sentence_transformers import SentenceTransformer, util

model = SentenceTransformer(sys.argv[1], device="cpu")

known = [
    "How do I reset my password?",
    "Where can I see my invoices?",
    "Can I change my delivery address?",
    "What payment methods do you accept?",
    "How long does shipping take?",
]
new = [
    "I forgot my password, what now?",
    "Is it possible to pay by card?",
    "When will my parcel arrive?",
    "Do you sell gift cards?",
    "How do I reset my password?",
]
known_embeddings = model.encode(known, convert_to_tensor=True)
for question in new:
    embedding = model.encode(question, convert_to_tensor=True)
    hit = util.semantic_search(embedding, known_embeddings, top_k=1)[0][0]
    answer = known[hit["corpus_id"]] if hit["score"] >= 0.5 else "not asked before"
    print(f"{question} -> {answer} ({hit['score']:.3f})")

questions = known + new
embeddings = model.encode(questions, convert_to_numpy=True)
similarities = model.similarity(embeddings, embeddings)
print(tuple(similarities.shape))
kept = []
for number in range(len(questions)):
    if all(float(similarities[number][other]) < 0.7 for other in kept):
        kept.append(number)
print("kept", kept)
for row in similarities[:3]:
    print([f"{float(value):.3f}" for value in row[:4]])

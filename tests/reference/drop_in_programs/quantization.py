"""Search small codes first, then score the documents found again with full vectors."""

import sys

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.quantization import quantize_embeddings

model = SentenceTransformer(sys.argv[1], device="cpu")

corpus = [
    f"A {colour} {thing} {place}."
    for colour in ("red", "blue", "large")
    for thing in ("car", "bird", "book")
    for place in ("in the garden", "on the table", "near the sea", "in a museum")
]
queries = ["an automobile close to the ocean", "a novel lying on a desk"]
full = model.encode(corpus, normalize_embeddings=True)
query_embeddings = model.encode(queries, normalize_embeddings=True)

ubinary = quantize_embeddings(full, precision="ubinary")
print(ubinary.dtype, ubinary.shape, full.nbytes // ubinary.nbytes)
asked = quantize_embeddings(query_embeddings, precision="ubinary")
differing = np.bitwise_count(asked[:, None] ^ ubinary).sum(axis=2)
for query, vector, row in zip(queries, query_embeddings, differing, strict=True):
    found = np.argsort(row, kind="stable")[:8]
    again = sorted(found, key=lambda number: -(full[number] @ vector))[:3]
    print(query)
    for number in again:
        print(f"\t{full[number] @ vector:.3f}\t{corpus[number]}")

# The ranges of a calibration set, kept for texts that come later.
ranges = np.vstack([full.min(axis=0), full.max(axis=0)])
int8 = quantize_embeddings(full, precision="int8", ranges=ranges)
print(int8.dtype, int8.shape, int(int8.min()), int(int8.max()))
binary = model.encode(corpus[:4], precision="binary", normalize_embeddings=True)
print(binary.dtype, binary.shape)
for number, row in enumerate(query_embeddings):
    scores = int8.astype(np.float32) @ quantize_embeddings(row[None], "int8", ranges)[0]
    print(number, [corpus[place] for place in np.argsort(-scores)[:2]])

"""Vectors -> scores -> the highest scores. No texts and no files.

- `similarity`: scores of all pairs of vectors, or of the pairs in each row
- `late_interaction`: scores of texts that have a vector for each token
- `metrics`: one row per metric, by its name: its scores and their estimates
- `top_k`: blocks of scores -> the k highest of each row
- `matrices`: many vectors in several matrices -> blocks of them, for threads
- `nearest`: queries and vectors -> the k nearest vectors, exactly
- `semantic_search`: the same with the interface of sentence-transformers
- `usearch_search`: a search among codes by usearch, as sentence-transformers has it
- `hamming`: packed bits -> the k codes with the smallest Hamming distance
- `mining`: groups of similar vectors, and the pairs that score highest
- `quantization`: vectors -> codes of one byte or one bit per number, and back
"""

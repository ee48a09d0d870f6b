"""Vectors -> scores -> the best. No texts and no files.

- `similarity`: the scores of all pairs of vectors, and of vectors in one place
- `metrics`: a row a metric, by its name: its scores, and how they are estimated
- `top_k`: blocks of scores -> the best of each row
- `matrices`: many vectors in several matrices -> blocks of them, for threads
- `nearest`: the nearest vectors, exactly
- `semantic_search`: the same as sentence-transformers has it
- `hamming`: bits of vectors -> those that differ in the fewest
- `mining`: groups of vectors alike, pairs that score highest
- `quantization`: vectors -> codes of one byte or one bit a number, and back
"""

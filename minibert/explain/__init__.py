"""Explain a score by the words of its two texts, for any model that can trace a text.

- `words`: a text as a model reads it: its words, and the place of each
- `attribution`: the score as a sum over pairs of tokens
- `occluding`: the change of the score without each word
- `neighbours`: the words of the vocabulary nearest to a hidden state
"""

from minibert.explain.attribution import ExplainedText, Explanation, NoSumError, Pair, explain
from minibert.explain.neighbours import nearest_words
from minibert.explain.occluding import Difference, occlusion
from minibert.explain.words import Word

__all__ = [
    "Difference",
    "ExplainedText",
    "Explanation",
    "NoSumError",
    "Pair",
    "Word",
    "explain",
    "nearest_words",
    "occlusion",
]

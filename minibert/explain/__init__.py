"""Explain why a score is what it is, for any model that shows what it does with a text.

- `words`: a text as a model sees it: its words, and where each stands
- `attribution`: the score as a sum over pairs of tokens
- `occluding`: what the score loses without each word
- `neighbours`: the words that a hidden state is nearest to
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

"""A query and texts -> the texts, best first."""

import numpy as np

from minibert import dot_score
from minibert.commands.ranking import ranking


def test_texts_of_one_score_keep_their_order():
    class Digits:
        """A model with exact scores: a text is a digit, and the digit its vector."""

        similarity = staticmethod(dot_score)

        def encode(self, texts, prompt_name):
            return np.array([float(text) for text in texts], dtype=np.float32)[:, None]

    texts = [str(number * 7 % 3) for number in range(100)]
    found = [result["index"] for result in ranking(Digits(), "1", texts)]
    assert found == [index for digit in "210" for index in range(100) if texts[index] == digit]

"""A small model that can be trained, for tests of the loop: a text's vector is linear in its words.

It keeps to the protocol of minibert/training/trainable.py, with gradients of its own.
"""

import hashlib
import json
import zlib
from pathlib import Path

import numpy as np

from minibert.common.safetensors_writing import write_safetensors

WORDS, DIMENSION, OUT = 50, 6, 4
EMBEDDING, BIAS, DENSE = "word.weight", "word.bias", "2_Dense/linear.weight"


class BagOfWords:
    """v = D (mean of the words' rows * mask + b), with a mask of dropout."""

    folder = Path("bag-of-words")  # as of a model that was opened from there

    def __init__(self, seed=0, dropout=0.0):
        drawn = np.random.default_rng(seed)
        self.values = {
            EMBEDDING: drawn.normal(0, 1, (WORDS, DIMENSION)).astype(np.float32),
            BIAS: drawn.normal(0, 1, DIMENSION).astype(np.float32),
            DENSE: drawn.normal(0, 1, (OUT, DIMENSION)).astype(np.float32),
        }
        self.pooler = drawn.normal(0, 1, (3, 2)).astype(np.float32)  # no vector depends on it
        self.start = hashlib.sha256(b"".join(map(bytes, self.values.values()))).hexdigest()
        self.seed, self.dropout = seed, dropout
        self.refresh()
        self.zero_gradients()

    def trainable(self, *, seed, dropout):
        """The model is its own form for the loop."""
        self.seed, self.dropout = seed, 0.25 if dropout else 0.0
        return self

    def describe_training(self, section):
        """The model has no card."""

    def use_folder(self, folder):
        """The model is never copied."""

    def refresh(self):
        """Words' rows and dense in one table, as a model fuses its tensors when it is loaded."""
        self.table = self.values[EMBEDDING] @ self.values[DENSE].T
        self.offset = self.values[DENSE] @ self.values[BIAS]

    def zero_gradients(self):
        self.sums = {key: np.zeros_like(value) for key, value in self.values.items()}

    @property
    def gradients(self):
        """New arrays for each call, as of a model whose tensors are fused."""
        return {key: gradient.copy() for key, gradient in self.sums.items()}

    def counts(self, texts, step):
        """Share of each word in each text: (B, WORDS); some are dropped."""
        found = np.zeros((len(texts), WORDS), np.float32)
        for number, text in enumerate(texts):
            ids = [zlib.crc32(word.encode()) % WORDS for word in text.split()]
            np.add.at(found[number], ids, np.float32(1 / max(1, len(ids))))
        if self.dropout and step is not None:
            drawn = np.random.default_rng([self.seed, step]).random(found.shape)
            found *= (drawn >= self.dropout) / np.float32(1 - self.dropout)
        return found

    def encode(self, texts):
        return self.counts(texts, None) @ self.table + self.offset

    def add_gradients(self, texts, labels, loss, step, *, scale=1.0):
        loss.check(len(texts), labels, len(texts[0]))
        columns = [self.counts(column, step) for column in texts]
        value, gradients = loss([x @ self.table + self.offset for x in columns], labels)
        for counts, gradient in zip(columns, gradients, strict=True):
            gradient = gradient * np.float32(scale)
            inner = gradient @ self.values[DENSE]
            self.sums[EMBEDDING] += counts.T @ inner
            self.sums[BIAS] += inner.sum(axis=0)
            self.sums[DENSE] += gradient.T @ (counts @ self.values[EMBEDDING] + self.values[BIAS])
        return value

    def fingerprint(self):
        return self.start

    def save(self, folder):
        (folder / "2_Dense").mkdir()
        own = {EMBEDDING: self.values[EMBEDDING], BIAS: self.values[BIAS], "pooler": self.pooler}
        write_safetensors(folder / "model.safetensors", own)
        dense = {"linear.weight": self.values[DENSE]}
        write_safetensors(folder / "2_Dense" / "model.safetensors", dense)
        for name, content in (("config.json", {"words": WORDS}), ("modules.json", ["2_Dense"])):
            (folder / name).write_text(json.dumps(content))

"""A model and a cross-encoder with chosen scores, and pairs to mine for; torch is not needed."""

from functools import cache

import numpy as np

DIMENSION = 12
DOCUMENTS = [f"document {number}" for number in range(60)]
QUERIES = [f"query {number}" for number in range(12)]


def pairs():
    """Pairs with all that mining counts: several positives of a query, pairs and texts twice."""
    rows = [(query, DOCUMENTS[number * 3]) for number, query in enumerate(QUERIES)]
    rows += [(QUERIES[4], DOCUMENTS[50]), (QUERIES[1], DOCUMENTS[51]), (QUERIES[1], DOCUMENTS[52])]
    rows += [rows[2], rows[1]]  # again, after other queries
    rows += [(QUERIES[7], DOCUMENTS[0]), (DOCUMENTS[6], DOCUMENTS[9])]  # of two queries; a document
    rows += [(f"query {number}", DOCUMENTS[number]) for number in range(20, 40)]
    return rows


@cache
def numbers_of(text, count, seed):
    """Numbers that depend on a text alone."""
    return np.random.default_rng([seed, *text.encode()]).normal(0, 1, count)


class ChosenVectors:
    """A model whose vectors depend on the text alone; it notes how it is called."""

    device = "cpu"

    def __init__(self, metric="cosine", seed=0):
        self.similarity_fn_name, self.seed = metric, seed
        self.calls, self.pools = [], []

    def vectors_of(self, texts):
        rows = np.array([numbers_of(text, DIMENSION, self.seed) for text in texts])
        rows[:, 0] += 2.5  # most scores are above 0, and some below
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def encode(self, name, texts, options):
        assert options.pop("normalize_embeddings") is True
        options = {key: options[key] for key in ("prompt", "prompt_name", "batch_size", "pool")}
        self.calls.append((name, list(texts), options))
        return self.vectors_of(texts)

    def encode_query(self, texts, **options):
        return self.encode("query", texts, options)

    def encode_document(self, texts, **options):
        return self.encode("document", texts, options)

    def start_multi_process_pool(self, target_devices=None):
        self.pools.append(["started", target_devices])
        return self.pools[-1]

    def stop_multi_process_pool(self, pool):
        pool[0] = "stopped"

    def fingerprint(self):
        return f"chosen {self.seed}"


class ChosenScores:
    """A cross-encoder whose scores depend on the pair alone, and are unlike those of vectors."""

    def __init__(self):
        self.pools = []
        self.pairs = []  # that were scored

    def scores_of(self, pairs):
        return np.array([4 * numbers_of(" / ".join(pair), 1, 9)[0] for pair in pairs], np.float32)

    def predict(self, pairs, batch_size=None, pool=None):
        self.pairs += pairs
        return self.scores_of(pairs)

    start_multi_process_pool = ChosenVectors.start_multi_process_pool
    stop_multi_process_pool = ChosenVectors.stop_multi_process_pool

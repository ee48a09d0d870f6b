"""reproducible=True: the same bits, whatever stands beside a text and however it is computed."""

import subprocess
import sys

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import CrossEncoder, SentenceTransformer
from minibert.models.job import EncodeJob

# Run in a process of its own, in which nothing has been computed before.
PROGRAM = """
import sys
import numpy as np
from minibert import SentenceTransformer
from minibert.bert import tensor_parallel

folder, has_small_products = sys.argv[1:]
tensor_parallel.has_small_products = lambda: has_small_products == "True"
random = np.random.default_rng(0)
words = "the river ran past an old mill where nobody had worked for years".split()
texts = [" ".join(random.choice(words, size)) for size in random.integers(1, 90, 16)] + [""]
model = SentenceTransformer(folder, reproducible=True)
alone = np.stack([model.encode(text) for text in texts])
found = {"together": model.encode(texts)}
order = random.permutation(len(texts))
found["in another order"] = model.encode([texts[n] for n in order])[np.argsort(order)]
found["in batches"] = model.encode(texts, batch_size=3)
found["in small packs"] = model.encode(texts, pack_tokens=64)
one = SentenceTransformer(folder, reproducible=True, threads=1)
found["on one thread"] = one.encode(texts)
for name, vectors in found.items():
    assert np.array_equal(vectors.view(np.uint32), alone.view(np.uint32)), name
"""


@pytest.mark.parametrize("has_small_products", [False, True])
def test_a_text_has_the_same_bits_whatever_its_neighbours(minilm_folder, has_small_products):
    """With whatever kernels compute; `sh tools/test.sh kernels` runs it with several."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, minilm_folder, str(has_small_products)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_every_text_is_a_pack_of_its_own():
    model = SentenceTransformer(GOLDEN / "gelu", reproducible=True)
    ids = model.transformer.text_tokenizer.rows(["a cat", "the dog", "a"], 41).ids
    packs = model.transformer.packs(ids, None, EncodeJob(3, max_tokens=41, pack_tokens=1024))
    assert [pack.order.tolist() for pack in packs] == [[0], [1], [2]]


def test_copies_and_pools_keep_reproducible():
    import copy

    model = SentenceTransformer(GOLDEN / "gelu", reproducible=True)
    assert copy.deepcopy(model).transformer.reproducible is True
    assert SentenceTransformer(GOLDEN / "gelu").transformer.reproducible is False
    texts = ["the cat sat", "a dog", "a cat"]
    with model.start_multi_process_pool(["cpu", "cpu"]) as pool:
        vectors = model.encode(texts, pool=pool, chunk_size=1)
        np.testing.assert_array_equal(vectors, model.encode(texts))
        with pytest.raises(ValueError, match="started by another model"):
            SentenceTransformer(GOLDEN / "gelu").encode(texts, pool=pool)


def test_pairs_have_the_same_scores_in_any_company():
    model = CrossEncoder(GOLDEN / "cross_encoder", reproducible=True, activation_fn="identity")
    pairs = [("the cat", "a dog"), ("a", "b"), ("the cat sat on a dog", "a cat")]
    together = model.predict(pairs)
    np.testing.assert_array_equal(together, np.stack([model.predict(pair) for pair in pairs]))

"""Engines on this machine, for `sh tools/test.sh engines`, which installs them."""

import numpy as np
import pyarrow.parquet
import pytest

from minibert import SentenceTransformer


@pytest.fixture(scope="session")
def passages():
    """Ids, texts and a column that has nothing to do with them."""
    texts = [f"Passage {n} of the cat and the dog who went to London" for n in range(600)]
    return pyarrow.table({"id": range(600), "text": texts, "page": [n % 7 for n in range(600)]})


@pytest.fixture
def parquet(passages, tmp_path):
    """The same as a folder of two Parquet files."""
    folder = tmp_path / "passages"
    folder.mkdir()
    for number in range(2):
        part = passages.slice(number * 300, 300)
        pyarrow.parquet.write_table(part, folder / f"{number}.parquet", row_group_size=100)
    return str(folder)


@pytest.fixture(scope="session")
def vectors_of_one_process(minilm, passages):
    """The vectors that one process makes of the passages, and the same in bits of their own."""
    texts = passages.column("text").to_pylist()
    reproducible = SentenceTransformer(minilm.folder.path, reproducible=True)
    return minilm.encode(texts), reproducible.encode(texts)


@pytest.fixture
def assert_same(vectors_of_one_process, passages):
    """Hold an engine's folder to every passage once, with the vector it has alone."""

    def check(folder, reproducible=False):
        table = pyarrow.parquet.read_table(folder).sort_by("id")
        numbers = table.column("vector").combine_chunks().flatten().to_numpy()
        vectors = numbers.reshape(len(table), -1)
        assert table.drop_columns("vector") == passages
        if reproducible:
            np.testing.assert_array_equal(vectors, vectors_of_one_process[1])
        else:
            np.testing.assert_allclose(
                vectors, vectors_of_one_process[0], atol=1e-6
            )  # worst seen 1.2e-7
        return table

    return check

"""Files of tensors: the same bytes as the safetensors library writes, and no copy in memory."""

import tracemalloc

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from minibert.common.safetensors_files import map_safetensors
from minibert.common.safetensors_writing import write_safetensors

# One type of each size: among types of one size the library has an order of its own.
TENSORS = {
    "b.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.bias": np.array([1.5, -2, 3e-40], dtype=np.float32),
    "größe": np.array(7, dtype=np.float32),
    "empty": np.zeros((0, 3), dtype=np.float32),
}
STORED = {
    **TENSORS,
    "position_ids": np.arange(5).reshape(1, 5),
    "half": np.arange(3, dtype=np.float16),
    "flags": np.array([True, False, True]),
}


@pytest.mark.parametrize("longer", range(8))
def test_a_file_has_the_bytes_that_the_library_writes(tmp_path, longer):
    """Headers of eight lengths, each padded to a multiple of eight bytes."""
    tensors = {**TENSORS, "x" * (1 + longer): np.ones(2)}
    write_safetensors(tmp_path / "ours", tensors)
    save_file(tensors, tmp_path / "theirs", metadata={"format": "pt"})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_tensors_of_another_file_keep_their_bytes_and_types(tmp_path):
    """Even a type that minibert does not read, beside an array in the place of another."""
    save_file(STORED, tmp_path / "stored")
    tensors = {tensor.name: tensor for tensor in map_safetensors(tmp_path / "stored")}
    tensors["half"] = np.full(3, 0.1, dtype=np.float32)
    write_safetensors(tmp_path / "ours", tensors)
    expected = {**STORED, "half": tensors["half"]}
    save_file(expected, tmp_path / "theirs", metadata={"format": "pt"})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    found = load_file(tmp_path / "ours")
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        np.testing.assert_array_equal(found[name], tensor, err_msg=name)
    with safe_open(tmp_path / "ours", framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}


def test_arrays_of_any_layout_are_written_by_rows(tmp_path):
    table = np.arange(12, dtype=np.float32).reshape(3, 4)
    views = {"columns": table.T, "reversed": table[::-1], "other bytes": table.astype(">f4")}
    write_safetensors(tmp_path / "ours", views)
    for name, array in load_file(tmp_path / "ours").items():
        np.testing.assert_array_equal(array, views[name], err_msg=name)


def test_writing_copies_no_tensor_in_memory(tmp_path):
    """An array of 8 MB and a stored tensor of the same size; the buffer of a file has some KB."""
    table = np.ones((1 << 10, 1 << 11), dtype=np.float32)
    save_file({"stored": table}, tmp_path / "stored")
    (stored,) = map_safetensors(tmp_path / "stored")
    tracemalloc.start()
    write_safetensors(tmp_path / "ours", {"stored": stored, "array": table})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < table.nbytes / 4
    assert (tmp_path / "ours").stat().st_size > 2 * table.nbytes

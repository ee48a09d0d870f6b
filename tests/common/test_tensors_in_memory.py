"""Tensors in memory: copied once, changed in place, and refused as those of a file are."""

import mmap

import numpy as np
import pytest
from safetensors.numpy import save_file

from minibert import CheckpointError
from minibert.common.safetensors_files import Tensors
from minibert.common.tensors_in_memory import TensorsInMemory


@pytest.fixture
def path(tmp_path):
    """A file with a tensor that fits, and others that do not."""
    tensors = {
        "bert.weight": np.arange(6, dtype=np.float16).reshape(2, 3),
        "bert.nan": np.array([1, np.nan], dtype=np.float32),
        "bert.ids": np.arange(4),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_taken_tensor_is_one_writable_array(path, dtype):
    tensors = TensorsInMemory(Tensors((path,), prefix="bert."), dtype)
    first = tensors.take("weight", 2, 3)
    assert first.dtype == tensors.dtype == dtype
    first += 1
    assert tensors.take("weight", 2, 3) is first
    assert tensors.values.keys() == {"bert.weight"}
    assert tensors.values["bert.weight"] is first
    np.testing.assert_array_equal(first, [[1, 2, 3], [4, 5, 6]])
    assert tensors.stored_name("weight") == "bert.weight"
    assert "weight" in tensors
    assert "bias" not in tensors
    assert tensors.unused() == ("bert.ids", "bert.nan")


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("bias", (3,), "has no tensor 'bias'"),
        ("weight", (3, 2), r"weight has the shape \(2, 3\)"),
        ("nan", (2,), "nan holds NaN or infinity"),
        ("ids", (4,), "ids has the type I64"),
    ],
)
def test_a_broken_tensor_is_refused_and_not_held(path, name, shape, message):
    tensors = TensorsInMemory(Tensors((path,), prefix="bert."))
    with pytest.raises(CheckpointError, match=message):
        tensors.take(name, *shape)
    assert tensors.values == {}


def test_a_name_of_the_model_s_finds_the_stored_array(path):
    tensors = TensorsInMemory(Tensors((path,), "bert.", (("table", "weight"),)))
    assert tensors.take("table", 2, 3) is tensors.take("weight", 2, 3)
    assert tensors.values.keys() == {"bert.weight"}


def test_a_changed_array_is_copied_in_the_file_s_place(path):
    """The key says of which module a tensor is; another module's array is not for this one."""
    changed = {"1_Dense/bert.weight": np.full((2, 3), 7.5), "bert.weight": np.zeros((2, 3))}
    tensors = TensorsInMemory(Tensors((path,), "bert."), "float32", changed, before="1_Dense/")
    found = tensors.take("weight", 2, 3)
    np.testing.assert_array_equal(found, np.full((2, 3), 7.5, np.float32))
    assert found.dtype == np.float32
    assert tensors.values.keys() == {"1_Dense/bert.weight"}
    found += 1
    assert (changed["1_Dense/bert.weight"] == 7.5).all()


class Advised(mmap.mmap):
    """A map that holds ones in the bytes that it lets go of."""

    def __new__(cls, file, length, access):
        return super().__new__(cls, file, length, access=mmap.ACCESS_COPY)

    def madvise(self, option, start, length):
        assert option == mmap.MADV_DONTNEED
        self[start : start + length] = b"\xff" * length


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="there is no such advice")
def test_the_file_s_pages_leave_the_memory_once_copied(tmp_path, monkeypatch):
    table = np.arange(3 * mmap.PAGESIZE, dtype=np.float32)
    save_file({"table": table}, tmp_path / "model.safetensors")
    monkeypatch.setattr("minibert.common.safetensors_files.mmap.mmap", Advised)
    stored = Tensors((tmp_path / "model.safetensors",))
    tensors = TensorsInMemory(stored)
    np.testing.assert_array_equal(tensors.take("table", len(table)), table)
    assert np.isnan(stored._stored["table"].read()).any()
    np.testing.assert_array_equal(tensors.take("table", len(table)), table)

"""A device by its name: which there are, and what is refused."""

import sys

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import BertModel, SentenceTransformer
from minibert.errors import DeviceError
from minibert.kernels import cpu as kernels
from minibert.kernels.devices import find_device


def test_a_model_computes_on_the_gpu_it_was_given(install):
    install(gpus=2)
    assert find_device("cuda:1").to_device(np.ones(3, np.float32)).device.id == 1
    assert find_device("cuda:0").to_device(np.ones(3, np.float32)).device.id == 0


def test_cuda_without_a_number_is_the_current_gpu(install):
    install(gpus=2).cuda.Device(1).use()
    assert find_device("cuda").to_device(np.ones(3, np.float32)).device.id == 1


@pytest.mark.parametrize("load", [SentenceTransformer, BertModel.from_pretrained])
def test_a_gpu_too_many_is_refused(cupy, load):
    with pytest.raises(DeviceError, match=r"'cuda:1'.*\b1\b.*counted from cuda:0"):
        load(GOLDEN / "gelu", device="cuda:1")


@pytest.mark.parametrize("load", [SentenceTransformer, BertModel.from_pretrained])
def test_cupy_without_a_gpu_says_to_use_the_cpu(install, load):
    install(gpus=0)
    with pytest.raises(DeviceError, match=r"no GPU \(cudaErrorNoDevice.*Use 'cpu'"):
        load(GOLDEN / "gelu", device="cuda")


@pytest.mark.parametrize("name", ["cuda:x", "cuda:-1", "cuda:1.0", "cuda: 0", "cuda:²", "cuda:"])
def test_a_gpu_without_a_whole_number_is_refused(cupy, name):
    with pytest.raises((DeviceError, ValueError), match=name):
        find_device(name)


@pytest.mark.parametrize("load", [SentenceTransformer, BertModel.from_pretrained])
def test_without_cupy_the_error_names_the_install_command(install, monkeypatch, load):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match=r"CuPy, .*pip install '\.\[cupy\]' in a clone"):
        load(GOLDEN / "gelu", device="cuda")


@pytest.mark.parametrize("name", ["tpu", "CUDA", "cuda1", "gpu", ""])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(ValueError, match='expected "cpu", "cuda"'):
        find_device(name)


@pytest.mark.parametrize("name", [None, "cpu"])
def test_the_cpu_needs_no_cupy(install, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "cupy", None)
    device = find_device(name)
    assert (device.name, device.kernels) == ("cpu", kernels)
    assert "minibert.kernels.cuda" not in sys.modules


@pytest.mark.parametrize("load", [SentenceTransformer, BertModel.from_pretrained])
def test_a_cpu_refuses_float16_and_says_why(load):
    with pytest.raises(ValueError, match=r"float16.*no float16 products.*slower"):
        load(GOLDEN / "gelu", dtype="float16")


@pytest.mark.parametrize("dtype", ["bfloat16", "int8", "half", np.float64, 16])
def test_another_dtype_is_refused(dtype):
    with pytest.raises(ValueError, match='expected "float32" or "float16"'):
        find_device("cpu", dtype)

"""The stand-in for CuPy itself: what it refuses, and that its kernels run as they declare."""

import operator
import sys
from pathlib import Path

import numpy as np
import pytest

from minibert.kernels import cpu as kernels

SOURCE = Path(kernels.__file__).with_name("cuda.cu").read_text(encoding="utf-8")


@pytest.mark.parametrize("host", [np.ones(3, np.float32), np.float32(1), np.float64(1)])
@pytest.mark.parametrize("in_place", ["", "i"])
@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "matmul"])
def test_the_stand_in_computes_with_no_numpy_array_or_scalar(cupy, name, in_place, host):
    function = getattr(operator, in_place + name)
    device = cupy.asarray(np.ones(3, np.float32))
    for operands in ((device, host), (host, device)):
        with pytest.raises(TypeError):
            function(*operands)
    np.testing.assert_array_equal(cupy.asnumpy(device), [1, 1, 1])


def test_the_stand_in_never_becomes_a_numpy_array_by_itself(cupy):
    device = cupy.asarray(np.ones((2, 3), np.float32))
    rows = np.zeros((2, 3), np.float32)
    for convert in (np.asarray, np.array, np.tanh, np.sum, np.copy, np.float32, float, list):
        with pytest.raises(TypeError):
            np.asarray(convert(device))
    with pytest.raises(TypeError):
        rows[:] = device
    with pytest.raises(TypeError):
        np.tanh(rows, out=device)
    with pytest.raises(TypeError):
        np.concatenate([rows, device])
    np.testing.assert_array_equal(rows, np.zeros((2, 3)))


def test_the_stand_ins_functions_take_no_numpy_array(cupy):
    host = np.ones(3, np.float32)
    device = cupy.asarray(host)
    kernel = cupy.RawModule(code=SOURCE).get_function("relu")
    for call in (
        lambda: kernel((1,), (32,), (host, None, np.int32(3), np.float32(0), np.float32(0))),
        lambda: device.get(out=host, blocking=False),  # not pinned
        lambda: cupy.asnumpy(host),
    ):
        with pytest.raises(TypeError):
            call()


def test_the_stand_in_is_indexed_by_no_numpy_array(cupy):
    device, index = cupy.asarray(np.arange(6).reshape(2, 3)), np.array([1, 0])
    np.testing.assert_array_equal(cupy.asnumpy(device[cupy.asarray(index)]), [[3, 4, 5], [0, 1, 2]])
    np.testing.assert_array_equal(cupy.asnumpy(device[..., None, -1]), [[2], [5]])
    mask = cupy.asarray(np.array([True, False]))
    for wrong in (index, [1, 0], (slice(None), index), np.array(1), True, mask):
        with pytest.raises(TypeError):
            device[wrong]
        with pytest.raises(TypeError):
            device[wrong] = 1
    for value in (index, np.int64(1), [1, 2, 3]):
        with pytest.raises(TypeError):
            device[0] = value


def test_the_stand_in_shares_no_memory_with_the_host(cupy):
    host = np.zeros(3, np.float32)
    device = cupy.asarray(host)
    back = cupy.asnumpy(device)
    device += 1.0
    np.testing.assert_array_equal(host, [0, 0, 0])
    np.testing.assert_array_equal(back, [0, 0, 0])
    np.testing.assert_array_equal(cupy.asnumpy(device), [1, 1, 1])


def test_the_stand_in_views_are_written_through(cupy):
    device = cupy.empty((2, 3), dtype=cupy.float32)
    assert np.isnan(cupy.asnumpy(device)).all()
    device.reshape(3, 2).transpose(1, 0)[...] = cupy.asarray(np.ones((2, 3), np.float32))
    device.T[0] = 2
    device.swapaxes(0, 1)[1:2] *= 3.0
    np.testing.assert_array_equal(cupy.asnumpy(device), [[2, 3, 1], [2, 3, 1]])


def test_the_stand_in_makes_no_float64(cupy):
    device, whole = cupy.asarray(np.ones(3, np.float32)), cupy.asarray(np.arange(3))
    assert (device * 0.1 + 1).dtype == np.float32
    for call in (
        lambda: cupy.asarray(np.ones(3)),
        lambda: cupy.empty(3),
        lambda: whole / 2,
        lambda: device * whole,
    ):
        with pytest.raises(TypeError):
            call()


def test_the_stand_in_computes_on_the_current_gpu_only(install):
    cupy = install(gpus=2)
    first = cupy.asarray(np.ones(3, np.float32))
    with cupy.cuda.Device(1):
        second = cupy.asarray(np.ones(3, np.float32))
        assert (second + second).device.id == 1
        with pytest.raises(ValueError, match="different from the current device"):
            first + first
    with pytest.raises(ValueError, match="different from the current device"):
        first + second
    np.testing.assert_array_equal(cupy.asnumpy(second), [1, 1, 1])
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):
        cupy.cuda.Device(2).use()


@pytest.mark.slow
def test_a_kernel_s_arguments_must_be_of_the_types_it_declares(cupy):
    relu = cupy.RawModule(code=SOURCE).get_function("relu")
    x = cupy.asarray(np.array([-1, 2, -3], np.float32))
    right = (x, None, np.int32(3), np.float32(0), np.float32(0))
    wrong = {0: x.astype(np.float16), 1: 0, 2: np.int64(3), 3: np.float64(0), 4: 0.0}
    for number, argument in wrong.items():
        arguments = [*right[:number], argument, *right[number + 1 :]]
        with pytest.raises(TypeError, match=f"argument {number}"):
            relu((1,), (32,), arguments)
    with pytest.raises(TypeError, match="5 parameters"):
        relu((1,), (32,), right[:4])
    relu((1,), (32,), right)
    np.testing.assert_array_equal(cupy.asnumpy(x), [0, 2, 0])


@pytest.mark.slow
def test_threads_of_a_warp_that_part_are_noticed(cupy):
    source = """typedef float real;
    extern "C" __global__ void part(real* x) {
        if (threadIdx.x < 16) x[threadIdx.x] = __shfl_xor_sync(0xffffffff, x[threadIdx.x], 16);
    }"""
    part = cupy.RawModule(code=source).get_function("part")
    with pytest.raises(RuntimeError, match="different shuffles"):
        part((1,), (32,), (cupy.asarray(np.ones(32, np.float32)),))


def test_what_is_copied_without_waiting_is_there_after_its_event(cupy):
    device = cupy.asarray(np.ones(3, np.float32))
    host = sys.modules["cupyx"].empty_pinned((3,), np.float32)
    device.get(out=host, blocking=False)
    event = cupy.cuda.Event()
    event.record()
    device += 1.0
    assert np.isnan(host).all()
    event.synchronize()
    np.testing.assert_array_equal(host, [1, 1, 1])

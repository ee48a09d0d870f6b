"""An optimizer's arithmetic on a GPU beside NumPy's, over the strict stand-in for CuPy."""

import inspect
import math

import cupy_stand_in
import numpy as np
import pytest
from random_numbers import numbers

from minibert.errors import DeviceError, TrainingError
from minibert.kernels import cpu_updates
from minibert.kernels.devices import to_host, update_kernels
from minibert.kernels.protocol import Adam, UpdateKernels
from minibert.training.optimizers import OPTIMIZERS, clip_

# One of several blocks, one number, none, and a vector.
SHAPES = {"a": (70, 130), "b": (), "c": (0, 3), "d": (4097,)}


@pytest.fixture
def updates(cuda):
    """The GPU's module."""
    return update_kernels([cuda.to_device(np.zeros(1, np.float32))])


def drawn(seed):
    return {key: numbers(shape, seed) for key, shape in SHAPES.items()}


def moved(cuda, arrays):
    return {key: cuda.to_device(array) for key, array in arrays.items()}


def test_both_modules_have_what_the_protocol_has(updates):
    names = [name for name in vars(UpdateKernels) if not name.startswith("_")]
    for module in (updates, cpu_updates):
        assert sorted(module.__all__) == sorted(names)
        for name in names:
            expected = inspect.signature(getattr(UpdateKernels, name)).parameters
            found = inspect.signature(getattr(module, name)).parameters
            assert list(found.values()) == list(expected.values())[1:]  # without self


@pytest.mark.parametrize("decay", [0.0, 0.25])
def test_adam_s_step_agrees(cuda, updates, decay):
    random = np.random.default_rng(1)
    for shape in SHAPES.values():
        arrays = [random.normal(size=shape).astype(np.float32) for _ in range(3)]
        arrays.append(np.square(arrays[0]))
        on_gpu = [cuda.to_device(array) for array in arrays]
        numbers = ((0.8, 0.95), 0.3, 1e-3, decay)
        arrays = [np.array(array) for array in arrays]
        updates.adam_([Adam(*on_gpu, *numbers)])
        cpu_updates.adam_([Adam(*arrays, *numbers)])
        for gpu, host in zip(on_gpu, arrays, strict=True):
            assert gpu.shape == host.shape
            np.testing.assert_allclose(cuda.to_host(gpu), host, rtol=1e-6, atol=1e-6)


def test_a_gradient_that_is_a_transposed_view_is_taken_as_it_is(cuda, updates):
    value, gradient = numbers((5, 7)), numbers((7, 5), 1)
    zeros = np.zeros((5, 7), np.float32)
    on_gpu = [cuda.to_device(array) for array in (value, gradient, zeros, zeros)]
    on_gpu[1] = on_gpu[1].T
    updates.adam_([Adam(*on_gpu, (0.9, 0.99), 1.0, 1e-8, 0.0)])
    cpu_updates.adam_([Adam(value, gradient.T, zeros, zeros.copy(), (0.9, 0.99), 1.0, 1e-8, 0.0)])
    np.testing.assert_allclose(cuda.to_host(on_gpu[0]), value, rtol=1e-6)
    squares = updates.square_sums([on_gpu[1]])
    assert math.fsum(squares) == pytest.approx(float(np.square(gradient).sum()), rel=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_of_an_optimizer_agree_and_stay_on_the_gpu(cuda, name):
    values = drawn(0)
    on_gpu = moved(cuda, values)
    optimizers = [OPTIMIZERS[name](arrays, weight_decay=0.2) for arrays in (on_gpu, values)]
    for step in range(4):
        gradients = drawn(10 + step)
        given = moved(cuda, gradients)
        cupy_stand_in.COUNTS.clear()
        optimizers[0].step(given, 1e-2)
        assert not cupy_stand_in.COUNTS.keys() & {"up", "down", "wait"}
        optimizers[1].step(gradients, 1e-2)
    for key, value in values.items():
        np.testing.assert_allclose(cuda.to_host(on_gpu[key]), value, rtol=1e-5, atol=1e-6)
    states = [optimizer.state for optimizer in optimizers]
    for key, host in states[1].items():
        assert type(states[0][key]) is np.ndarray
        np.testing.assert_allclose(states[0][key], host, rtol=1e-5, atol=1e-6)


def test_a_saved_state_goes_on_with_the_same_bits_on_a_gpu(cuda):
    found = []
    for stops in (False, True):
        values = moved(cuda, drawn(0))
        optimizer = OPTIMIZERS["adamw"](values)
        for step in range(4):
            if stops and step == 2:
                state = {name: array.copy() for name, array in optimizer.state.items()}
                optimizer = OPTIMIZERS["adamw"](values)
                optimizer.load_state(state)
            optimizer.step(moved(cuda, drawn(10 + step)), 1e-2)
        found.append(b"".join(cuda.to_host(value).tobytes() for value in values.values()))
    assert found[0] == found[1]


def test_clipping_agrees_and_waits_once(cuda):
    gradients = drawn(3)
    on_gpu = moved(cuda, gradients)
    cupy_stand_in.COUNTS.clear()
    norm = clip_(on_gpu, 0.5)
    assert cupy_stand_in.COUNTS["wait"] == cupy_stand_in.COUNTS["down"] == 1
    assert cupy_stand_in.COUNTS["up"] == 0
    assert norm == pytest.approx(clip_(gradients, 0.5), rel=1e-6)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(cuda.to_host(on_gpu[key]), gradient, rtol=1e-6)
    assert clip_(on_gpu, 1.0) == pytest.approx(0.5, rel=1e-5)


def test_a_gradient_that_is_not_finite_is_named(cuda):
    gradients = drawn(3)
    gradients["d"][7] = np.nan
    with pytest.raises(TrainingError, match="1 of 4 gradients, the first of 'd'"):
        clip_(moved(cuda, gradients), 1.0)


def test_arrays_of_the_other_gpu_are_updated_there(install):
    install(gpus=2)
    from minibert.kernels.devices import find_device

    second = find_device("cuda:1")
    values, gradients = moved(second, drawn(0)), moved(second, drawn(1))
    optimizer = OPTIMIZERS["adamw"](values)
    clip_(gradients, 0.5)
    optimizer.step(gradients, 1e-2)
    optimizer.load_state(optimizer.state)
    optimizer.step(gradients, 1e-2)
    assert {value.device.id for value in values.values()} == {1}


def test_averages_that_find_no_room_say_what_to_do(cuda):
    values = moved(cuda, drawn(0))
    gradients = moved(cuda, drawn(1))
    cupy_stand_in.MEMORY.room = 5000
    with pytest.raises(DeviceError, match=r"no room .* smaller batch_size"):
        OPTIMIZERS["adamw"](values).step(gradients, 1e-2)


def test_an_array_of_either_side_comes_to_the_host(cuda):
    array = numbers((2, 3))
    assert to_host(array) is array
    np.testing.assert_array_equal(to_host(cuda.to_device(array)), array)

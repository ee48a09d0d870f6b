"""A strict stand-in for CuPy, so that the GPU path runs in tests where there is no GPU.

It computes with NumPy and refuses all that would mix the two memories: what CuPy refuses, and more.
NumPy's scalars are refused too (one float64 would widen a float32 result), and so are float64
arrays, operands of two types, and arrays of a GPU that is not the current one, which CuPy reads
across with a warning, or not at all. It has only what minibert needs; add to it what CuPy has.
"""

import math
import threading
from types import ModuleType

import numpy as np


class CUDARuntimeError(RuntimeError):
    """What CUDA itself complains about, above all that there is no GPU."""


class Current(threading.local):
    """The GPU that a thread computes on: the first, until the thread chooses another."""

    number = 0


CURRENT = Current()


class DeviceArray:
    """An array on a GPU: out of NumPy's reach, but for asarray and asnumpy."""

    __array_ufunc__ = None  # np.tanh(array) and host + array raise TypeError
    __hash__ = None

    def __init__(self, memory, gpu):
        memory = np.asarray(memory)  # NumPy gives a scalar for what is an array () in CuPy
        if memory.dtype == np.float64:
            raise TypeError("This makes an array of float64; minibert computes in float32.")
        self._memory, self._gpu = memory, gpu

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Use asnumpy().")

    def __array_function__(self, *_):
        return NotImplemented  # so np.sum(array) raises TypeError

    def __bool__(self):
        raise TypeError("A decision on a GPU's array would have to fetch it first.")

    def __eq__(self, _):
        raise TypeError("Comparing is not among what the stand-in has.")

    shape = property(lambda self: self._memory.shape)
    dtype = property(lambda self: self._memory.dtype)
    ndim = property(lambda self: self._memory.ndim)
    size = property(lambda self: self._memory.size)
    T = property(lambda self: self.transpose())
    device = property(lambda self: Device(self._gpu))

    def __len__(self):
        return len(self._memory)

    def __iter__(self):
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index):
        # A slice is a view, wherever the array is; gathering rows is a kernel.
        gathers = any(isinstance(part, DeviceArray) for part in as_tuple(index))
        memory, gpu = (memory_of(self), CURRENT.number) if gathers else (self._memory, self._gpu)
        return DeviceArray(memory[index_of(index)], gpu)

    def __setitem__(self, index, value):
        memory_of(self)[index_of(index)] = memory_of(value)

    # The same memory seen otherwise, wherever NumPy and CuPy both can.

    def reshape(self, *shape):
        return DeviceArray(self._memory.reshape(*shape), self._gpu)

    def transpose(self, *axes):
        return DeviceArray(self._memory.transpose(*axes), self._gpu)

    def swapaxes(self, first, second):
        return DeviceArray(self._memory.swapaxes(first, second), self._gpu)

    def copy(self):
        return DeviceArray(memory_of(self).copy(), CURRENT.number)

    def mean(self, axis=None, *, keepdims=False):
        return reduce(np.mean, self, axis, keepdims)

    def sum(self, axis=None, *, keepdims=False):
        return reduce(np.sum, self, axis, keepdims)

    def max(self, axis=None, *, keepdims=False):
        return reduce(np.max, self, axis, keepdims)

    def __add__(self, other):
        return compute(np.add, self, other)

    def __radd__(self, other):
        return compute(np.add, other, self)

    def __iadd__(self, other):
        return compute(np.add, self, other, out=self)

    def __sub__(self, other):
        return compute(np.subtract, self, other)

    def __rsub__(self, other):
        return compute(np.subtract, other, self)

    def __isub__(self, other):
        return compute(np.subtract, self, other, out=self)

    def __mul__(self, other):
        return compute(np.multiply, self, other)

    def __rmul__(self, other):
        return compute(np.multiply, other, self)

    def __imul__(self, other):
        return compute(np.multiply, self, other, out=self)

    def __truediv__(self, other):
        return compute(np.divide, self, other)

    def __rtruediv__(self, other):
        return compute(np.divide, other, self)

    def __itruediv__(self, other):
        return compute(np.divide, self, other, out=self)

    def __matmul__(self, other):
        return compute(np.matmul, self, other)

    def __rmatmul__(self, other):
        return compute(np.matmul, other, self)


def memory_of(value):
    """What a kernel may read or write: the memory of the current GPU's arrays, Python's numbers."""
    if isinstance(value, DeviceArray):
        if value._gpu != CURRENT.number:
            raise ValueError(
                f"The device where the array resides ({value._gpu}) is different from the "
                f"current device ({CURRENT.number})."
            )
        return value._memory
    if type(value) in (bool, int, float):  # not isinstance: np.float64 is a float
        return value
    raise TypeError(f"Unsupported type {type(value)}")


def as_tuple(index):
    return index if isinstance(index, tuple) else (index,)


def index_of(index):
    """An index for NumPy, from integers, slices, None, ... and whole numbers on the GPU."""
    return tuple(index_part_of(part) for part in as_tuple(index))


def index_part_of(part):
    if isinstance(part, DeviceArray) and part.dtype.kind in "iu":
        return memory_of(part)
    if part is None or part is Ellipsis or isinstance(part, slice):
        return part
    if isinstance(part, int | np.integer) and not isinstance(part, bool):
        return part
    raise TypeError(f"Unsupported type {type(part)}")


def compute(function, *operands, out=None):
    """Run a kernel, into a new array or into `out`; a GPU warns of no overflow."""
    arrays = [array for array in (*operands, out) if isinstance(array, DeviceArray)]
    if len({array.dtype for array in arrays}) > 1:
        raise TypeError(f"Operands of several types: {[str(array.dtype) for array in arrays]}.")
    memory = [memory_of(operand) for operand in operands]
    with np.errstate(all="ignore"):
        if out is None:
            return DeviceArray(function(*memory), CURRENT.number)
        function(*memory, out=memory_of(out))
    return out


def reduce(function, array, axis, keepdims):
    """Run a kernel along an axis, or over all."""
    return compute(lambda memory: function(memory, axis=axis, keepdims=keepdims), array)


def ufunc(function):
    """A function of the module: of GPU arrays, with out= for the one to write to."""

    def run(*operands, out=None):
        if not isinstance(out, DeviceArray | None):
            raise TypeError(f"out is a {type(out)}.")
        if not any(isinstance(operand, DeviceArray) for operand in operands):
            raise TypeError(f"No operand is on the GPU: {[type(operand) for operand in operands]}.")
        return compute(function, *operands, out=out)

    return run


def empty(shape, dtype=float):
    """An array that nobody filled: what is read before it is written is NaN."""
    memory = np.empty(shape, dtype)
    memory.fill(np.nan if memory.dtype.kind == "f" else -1)
    return DeviceArray(memory, CURRENT.number)


def asarray(array):
    """From the host to the current GPU; a copy, as the memories are two."""
    if isinstance(array, DeviceArray):
        return array
    return DeviceArray(np.array(array), CURRENT.number)


def asnumpy(array):
    """From the GPU to the host: a copy, whichever GPU is the current one."""
    if not isinstance(array, DeviceArray):
        raise TypeError(f"asnumpy got a {type(array)}, which is not on a GPU.")
    return array._memory.copy()


def error_function(memory):
    """erf of each number, computed in float64."""
    return np.vectorize(math.erf, otypes=[np.float64])(memory).astype(memory.dtype)


class Device:
    """A GPU, by its number; `with` makes it the current one for the block, use() for good."""

    count = 1

    def __init__(self, number=None):
        self.id = CURRENT.number if number is None else number
        self._before = []

    def use(self):
        if not 0 <= self.id < Device.count:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        CURRENT.number = self.id

    def __enter__(self):
        self._before.append(CURRENT.number)
        self.use()
        return self

    def __exit__(self, *_):
        CURRENT.number = self._before.pop()


def device_count():
    if Device.count == 0:
        raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
    return Device.count


def module(name, **contents):
    made = ModuleType(name)
    vars(made).update(contents)
    return made


def modules(gpus):
    """What to put into sys.modules on a machine with so many GPUs; the first is the current one."""
    Device.count, CURRENT.number = gpus, 0
    runtime = module(
        "cupy.cuda.runtime", getDeviceCount=device_count, CUDARuntimeError=CUDARuntimeError
    )
    cuda = module("cupy.cuda", runtime=runtime, Device=Device)
    cupy = module(
        "cupy",
        ndarray=DeviceArray,
        float32=np.float32,
        empty=empty,
        asarray=asarray,
        asnumpy=asnumpy,
        sqrt=ufunc(np.sqrt),
        exp=ufunc(np.exp),
        tanh=ufunc(np.tanh),
        maximum=ufunc(np.maximum),
        minimum=ufunc(np.minimum),
        divide=ufunc(np.divide),
        cuda=cuda,
    )
    special = module("cupyx.scipy.special", erf=ufunc(error_function))
    scipy = module("cupyx.scipy", special=special)
    cupyx = module("cupyx", scipy=scipy)
    return {made.__name__: made for made in (cupy, cuda, runtime, cupyx, scipy, special)}

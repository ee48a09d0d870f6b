"""A strict stand-in for CuPy, so that the GPU path runs in tests where there is no GPU.

It computes with NumPy, and raw kernels by their own source (cuda_on_host.py). It refuses all that
would mix the two memories: what CuPy refuses, and more. NumPy's scalars are refused too (one
float64 would widen a float32 result), and so are float64 arrays, operands of two types, and arrays
of a GPU that is not the current one, which CuPy reads across with a warning, or not at all. What is
copied to the host without waiting is there only when an event after it was waited for. It has only
what minibert needs; add to it what CuPy has.
"""

import ctypes
import threading
from collections import Counter
from types import ModuleType, SimpleNamespace

import cuda_on_host
import numpy as np
from numpy.lib.stride_tricks import as_strided


class CUDARuntimeError(RuntimeError):
    """What CUDA itself complains about, above all that there is no GPU."""


class OutOfMemoryError(MemoryError):
    """What CuPy raises where a GPU's memory has no room for an array."""


class Current(threading.local):
    """The GPU that a thread computes on: the first, until the thread chooses another."""

    number = 0

    def __init__(self):
        self.copies = []  # to the host, begun and not waited for: (where to, what)


CURRENT = Current()
# What was done: "up", "down", "wait" and "launch", since someone cleared it.
COUNTS = Counter()
MEMORY = SimpleNamespace(room=None)  # how many numbers an array may have; None is any
PINNED = set()  # addresses of the host from which a GPU copies by itself


class DeviceArray:
    """An array on a GPU: out of NumPy's reach, but for asarray and asnumpy."""

    __array_ufunc__ = None  # np.tanh(array) and host + array raise TypeError
    __hash__ = None

    def __init__(self, memory, gpu):
        memory = np.asarray(memory)  # NumPy gives a scalar for what is an array () in CuPy
        if memory.dtype == np.float64:
            raise TypeError("This makes an array of float64; minibert computes in float32.")
        if MEMORY.room is not None and memory.size > MEMORY.room:
            raise OutOfMemoryError(f"Out of memory allocating {memory.nbytes:,} bytes")
        self._memory, self._gpu = memory, gpu

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Use asnumpy().")

    def __array_function__(self, *_):
        return NotImplemented  # so np.sum(array) raises TypeError

    def __bool__(self):
        raise TypeError("A decision on a GPU's array would have to fetch it first.")

    def __eq__(self, other):
        return compute(np.equal, self, other)

    shape = property(lambda self: self._memory.shape)
    dtype = property(lambda self: self._memory.dtype)
    ndim = property(lambda self: self._memory.ndim)
    size = property(lambda self: self._memory.size)
    nbytes = property(lambda self: self._memory.nbytes)
    itemsize = property(lambda self: self._memory.itemsize)
    strides = property(lambda self: self._memory.strides)
    flags = property(lambda self: self._memory.flags)
    data = property(lambda self: SimpleNamespace(ptr=memory_of(self).ctypes.data))
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
        return compute(lambda memory: memory.copy(), self)  # in C order, as CuPy

    def astype(self, dtype, copy=True):
        if not copy and self.dtype == dtype:
            return self
        return compute(lambda memory: memory.astype(dtype), self)

    def get(self, stream=None, order="C", out=None, blocking=True):
        if blocking or out is None or stream is not None or order != "C":
            raise TypeError("Only copies that nobody waits for are among what the stand-in has.")
        if out.ctypes.data not in PINNED or out.dtype != self.dtype or out.shape != self.shape:
            raise TypeError(f"{out.dtype} {out.shape} is no pinned memory for this array.")
        COUNTS["down"] += 1
        CURRENT.copies.append((out, self._memory.copy()))
        return out

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

    def __ge__(self, other):
        return compute(np.greater_equal, self, other)

    def sum(self, axis=None, keepdims=False):
        return compute(lambda memory: memory.sum(axis, keepdims=keepdims), self)

    def __matmul__(self, other):
        return compute(product, self, other)

    def __rmatmul__(self, other):
        return compute(product, other, self)


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
    COUNTS["launch"] += 1
    arrays = [array for array in (*operands, out) if isinstance(array, DeviceArray)]
    if len({array.dtype for array in arrays} - {np.dtype(bool)}) > 1:  # True is 1 in any type
        raise TypeError(f"Operands of several types: {[str(array.dtype) for array in arrays]}.")
    memory = [memory_of(operand) for operand in operands]
    with np.errstate(all="ignore"):
        if out is None:
            return DeviceArray(function(*memory), CURRENT.number)
        function(*memory, out=memory_of(out))
    return out


def product(a, b):
    """What cuBLAS makes of two arrays: float16 is added up in float32."""
    if a.dtype != np.float16:
        return a @ b
    return (a.astype(np.float32) @ b.astype(np.float32)).astype(np.float16)


def empty(shape, dtype=float):
    """An array that nobody filled: what is read before it is written is NaN."""
    memory = np.empty(shape, dtype)
    memory.fill(np.nan if memory.dtype.kind == "f" else -1)
    return DeviceArray(memory, CURRENT.number)


def zeros(shape, dtype=float):
    """An array of zeros."""
    COUNTS["launch"] += 1
    return DeviceArray(np.zeros(shape, dtype), CURRENT.number)


def concatenate(arrays):
    """Arrays end to end, in a new one."""
    return compute(lambda *memory: np.concatenate(memory), *arrays)


def asarray(array):
    """From the host to the current GPU; a copy, as the memories are two."""
    if isinstance(array, DeviceArray):
        return array
    COUNTS["up"] += 1
    return DeviceArray(np.array(array), CURRENT.number)


def asnumpy(array):
    """From the GPU to the host: a copy, whichever GPU is the current one."""
    if not isinstance(array, DeviceArray):
        raise TypeError(f"asnumpy got a {type(array)}, which is not on a GPU.")
    COUNTS.update(["down", "wait"])
    return array._memory.copy()


def empty_pinned(shape, dtype=float):
    """Memory of the host for copies that nobody waits for."""
    array = np.empty(shape, dtype)
    array.fill(np.nan)
    PINNED.add(array.ctypes.data)
    return array


class Event:
    """A point in what a GPU has to do."""

    def record(self):
        self._copies, CURRENT.copies = CURRENT.copies, []

    def synchronize(self):
        COUNTS["wait"] += 1
        for out, memory in self._copies:
            out[...] = memory


class RawModule:
    """Kernels by their source."""

    def __init__(self, *, code, options=()):
        self._code, self._options = code, options

    def get_function(self, name):
        def run(grid, block, arguments):
            COUNTS["launch"] += 1
            if any(isinstance(argument, np.ndarray) for argument in arguments):
                raise TypeError(f"{name} was given an array of the host.")
            memory = [
                memory_of(argument) if isinstance(argument, DeviceArray) else argument
                for argument in arguments
            ]
            cuda_on_host.launch(self._code, self._options, name, grid, block, memory)

        return run


HALF, SINGLE, COMPUTE_SINGLE = 2, 0, 68


def gemm(
    handle, transpose_a, transpose_b, m, n, k, alpha, a, a_kind, a_leading, a_stride,
    b, b_kind, b_leading, b_stride, beta, c, c_kind, c_leading, c_stride, count, kind, algorithm,
):  # fmt: skip
    """cublasGemmStridedBatchedEx: C = A B, all by columns, as its documentation has it."""
    COUNTS["launch"] += 1
    if (handle, kind, algorithm) != (CURRENT.number + 1, COMPUTE_SINGLE, -1):
        raise TypeError(f"handle {handle}, compute type {kind}, algorithm {algorithm}")
    if [ctypes.c_float.from_address(number).value for number in (alpha, beta)] != [1, 0]:
        raise TypeError("alpha and beta are not 1 and 0 in float32.")

    def matrices(address, kind, rows, columns, leading, stride):
        if leading < rows or (count > 1 and stride < leading * (columns - 1) + rows):
            raise ValueError(f"({rows}, {columns}) with leading dimension {leading} and {stride}")
        size = np.dtype(np.float16 if kind == HALF else np.float32).itemsize
        numbers = (count - 1) * stride + (columns - 1) * leading + rows
        memory = (ctypes.c_char * (size * numbers)).from_address(address)
        flat = np.frombuffer(memory, f"f{size}")
        steps = (stride * size, size, leading * size)
        return as_strided(flat, (count, rows, columns), steps)

    if transpose_a:
        left = matrices(a, a_kind, k, m, a_leading, a_stride).swapaxes(1, 2)
    else:
        left = matrices(a, a_kind, m, k, a_leading, a_stride)
    if transpose_b:
        right = matrices(b, b_kind, n, k, b_leading, b_stride).swapaxes(1, 2)
    else:
        right = matrices(b, b_kind, k, n, b_leading, b_stride)
    with np.errstate(all="ignore"):
        found = left.astype(np.float32) @ right.astype(np.float32)
        matrices(c, c_kind, m, n, c_leading, c_stride)[...] = found


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
    Device.count, CURRENT.number, MEMORY.room = gpus, 0, None
    runtime = module(
        "cupy.cuda.runtime", getDeviceCount=device_count, CUDARuntimeError=CUDARuntimeError
    )
    runtime.CUDA_R_16F, runtime.CUDA_R_32F = HALF, SINGLE
    runtime.runtimeGetVersion, runtime.driverGetVersion = lambda: 12080, lambda: 12080
    runtime.getDeviceProperties = lambda number: {"name": b"a stand-in, no GPU"}
    memory = module("cupy.cuda.memory", OutOfMemoryError=OutOfMemoryError)
    cublas = module(
        "cupy.cuda.cublas",
        gemmStridedBatchedEx=gemm,
        CUBLAS_OP_N=0,
        CUBLAS_OP_T=1,
        CUBLAS_COMPUTE_32F=COMPUTE_SINGLE,
        CUBLAS_GEMM_DEFAULT=-1,
    )
    handles = module("cupy.cuda.device", get_cublas_handle=lambda: CURRENT.number + 1)
    cuda = module(
        "cupy.cuda",
        runtime=runtime,
        Device=Device,
        Event=Event,
        memory=memory,
        cublas=cublas,
        device=handles,
    )
    cupy = module(
        "cupy",
        ndarray=DeviceArray,
        float32=np.float32,
        empty=empty,
        zeros=zeros,
        concatenate=concatenate,
        asarray=asarray,
        asnumpy=asnumpy,
        sqrt=lambda x: compute(np.sqrt, x),
        maximum=lambda x, y: compute(np.maximum, x, y),
        RawModule=RawModule,
        cuda=cuda,
        __version__="stand-in",
    )
    cupyx = module("cupyx", empty_pinned=empty_pinned)
    return {made.__name__: made for made in (cupy, cuda, runtime, memory, cublas, handles, cupyx)}

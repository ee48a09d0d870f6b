"""CUDA kernels on the host: the same source, compiled by g++, with a warp's threads taking turns.

Arguments are held against the kernel's own parameters, which CUDA does not do: it takes whatever
bytes it is handed.
"""

import ctypes
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent / "cuda_on_host"
KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
# A parameter's type -> what NumPy calls what is passed for it, or what it points to.
TYPES = {"int": np.int32, "long long": np.int64, "float": np.float32}
C_TYPES = {"int": ctypes.c_int, "long long": ctypes.c_longlong, "float": ctypes.c_float}


@cache
def why_not():
    """Why kernels cannot be compiled here; None where they can."""
    if shutil.which("g++") is None:
        return "there is no g++ to compile the GPU's kernels with"
    try:
        compiled('extern "C" __global__ void nothing(real* x) {}\n', ("-DHALF",), needs_half=True)
    except subprocess.CalledProcessError as error:
        return f"g++ cannot compile for the host: {error.stderr.splitlines()[0]}"
    return None


@cache
def compiled(source, options, needs_half=False):
    """A library of kernels and their parameters: -> it, {name: [(type, is a pointer), ...]}."""
    if needs_half:
        source = f"#include <cuda_fp16.h>\ntypedef __half real;\n{source}"
    folder = Path(tempfile.mkdtemp(prefix="kernels"))
    path = folder / "kernels.cpp"
    path.write_text(source, encoding="utf-8")
    seen = gpp("-E", "-P", *options, path)  # with macros replaced
    kernels = {name: parameters_of(text) for name, text in KERNEL.findall(seen)}
    launches = "".join(launch_of(*kernel) for kernel in KERNEL.findall(seen))
    path.write_text(f'#include "warps.hpp"\n{source}\n{launches}', encoding="utf-8")
    # No contraction to fused multiply-adds: they would depend on the host.
    gpp("-O2", "-ffp-contract=off", "-shared", "-fPIC", *options, path, "-o", folder / "kernels.so")
    library = ctypes.CDLL(str(folder / "kernels.so"))
    shutil.rmtree(folder)
    return library, kernels


def gpp(*arguments):
    command = ["g++", "-std=c++17", "-I", HERE, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def parameters_of(text):
    """The types of a kernel's parameters, and which are pointers."""
    found = []
    for parameter in text.split(","):
        kind = re.fullmatch(r"\s*(?:const )?([\w ]+?)(\*?)\s*\w+\s*", parameter)
        found.append((kind[1], kind[2] == "*"))
    return found


def launch_of(name, parameters):
    """A function that runs a kernel for all threads."""
    names = ", ".join(part.split()[-1].lstrip("*") for part in parameters.split(","))
    return (
        f'extern "C" bool launch_{name}(int grid, int block_x, int block_y, {parameters}) '
        f"{{ return run(grid, block_x, block_y, [&] {{ {name}({names}); }}); }}\n"
    )


def launch(source, options, name, grid, block, arguments):
    """Run a kernel on arrays of NumPy (None is null) and scalars of the very types it declares."""
    library, kernels = compiled(source, options)
    if len(arguments) != len(kernels[name]):
        raise TypeError(f"{name} has {len(kernels[name])} parameters, not {len(arguments)}.")
    real = np.dtype(np.float16 if "-DHALF" in options else np.float32)
    values = [
        value_of(name, number, argument, *parameter, real)
        for number, (argument, parameter) in enumerate(zip(arguments, kernels[name], strict=True))
    ]
    (count,), (x, y) = grid, (*block, 1)[:2]
    if x % 32 or x * y > 1024 or not 0 < count < 2**31:
        raise ValueError(f"{name}: a grid of {grid} blocks of {block} threads.")
    run = getattr(library, f"launch_{name}")
    run.restype = ctypes.c_bool
    if not run(count, x, y, *values):
        raise RuntimeError(f"{name}: the threads of a warp met at different shuffles.")


def value_of(name, number, argument, kind, is_pointer, real):
    """An argument for ctypes, if it is what the parameter says."""
    expected = real if kind == "real" else np.dtype(TYPES[kind])
    if is_pointer and argument is None:
        return ctypes.c_void_p(None)
    given = getattr(argument, "dtype", type(argument))
    if given != expected or isinstance(argument, np.ndarray) != is_pointer:
        raise TypeError(f"{name}, argument {number}: {given} for {kind}{'*' * is_pointer}.")
    if is_pointer:
        return ctypes.c_void_p(argument.ctypes.data)
    return C_TYPES[kind](argument.item())

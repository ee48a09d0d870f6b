"""Arithmetic on rows, one file for each device, and the cores that it may use.

- protocol.py: the kernels that every device has
- segments.py: texts among rows that lie end to end, and buckets of them
- cpu.py: the kernels in NumPy
- cpu_gradients.py: their gradients
- activations.py: GELU and its like, by the names that files have for them
- activation_gradients.py: the gradients of these in NumPy
- cpu_updates.py: an optimizer's step on whole tensors
- cuda.py, cuda_gradients.py, cuda_updates.py, cuda.cu: the same on a GPU, in CuPy and CUDA
- cuda_draws.py: dropout's random numbers on a GPU
- devices.py: a device, its kernels, and the way there and back
- cores.py: the cores of this process, and the threads of its BLAS
"""

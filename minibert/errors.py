"""Errors that a caller may want to tell apart; other bad input raises a ValueError or a TypeError.

    MinibertError (Exception)
    ├── CheckpointError (ValueError)       a model folder that cannot be used
    ├── CorpusError (ValueError)           a corpus that is damaged, or does not match
    ├── DeviceError (RuntimeError)         a device that is not there
    ├── ListenError (OSError)              an address that a server cannot listen at
    ├── MissingLibraryError (ImportError)  an optional library that is not there
    ├── ModelUnavailableError (OSError)    a model that cannot be found or fetched
    ├── NoSumError (ValueError)            of minibert.explain: a score that is no sum over tokens
    ├── NotLinearError (ValueError)        of minibert.pooling: explain raises a NoSumError for it
    ├── OutputError (OSError)              an output that cannot be created
    ├── RequestError (Exception)           of minibert.server: a request that gets no result
    ├── StoppedError (Exception)           of minibert.models: only inside the processes of a pool
    ├── TrainingError (ValueError)         data or a run that cannot be trained on
    ├── UnsavedError (RuntimeError)        a model that no folder has, where one is needed
    └── UsageError (ValueError)            of minibert.server: options that cannot be meant

Each has two parents: MinibertError, and the error in brackets. So `except ValueError` catches a
CheckpointError, too. A folder or file that does not exist raises Python's FileNotFoundError, which
is an OSError, like ModelUnavailableError.
"""

__all__ = [
    "CheckpointError",
    "CorpusError",
    "DeviceError",
    "ListenError",
    "MinibertError",
    "MissingLibraryError",
    "ModelUnavailableError",
    "OutputError",
    "TrainingError",
    "UnsavedError",
]


class MinibertError(Exception):
    """Any error of minibert's own. It is never raised itself."""


class CheckpointError(MinibertError, ValueError):
    """A model folder that cannot be used as it is; the message names the file and the reason."""


class CorpusError(MinibertError, ValueError):
    """A corpus on disk that is damaged, or of another model, input or setting than asked for."""


class DeviceError(MinibertError, RuntimeError):
    """A device that this machine does not have, or cannot use."""


class ListenError(MinibertError, OSError):
    """An address that a server cannot listen at: a port in use, or a path that is no socket."""


class MissingLibraryError(MinibertError, ImportError):
    """A library that a call needs beside minibert's own, and that this Python cannot import."""


class ModelUnavailableError(MinibertError, OSError):
    """A model that is neither a folder, nor in the cache, nor to be had from the hub."""


class OutputError(MinibertError, OSError):
    """An output, a file or a folder, that cannot be created."""


class TrainingError(MinibertError, ValueError):
    """Data that cannot be trained on, a run that does not match, or a loss that is no number."""


class UnsavedError(MinibertError, RuntimeError):
    """A model that was trained, or put together from modules, and is in no folder yet.

    Copies, pickles, processes and digests need a folder: call save_pretrained() first.
    """

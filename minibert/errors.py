"""What a caller may want to tell apart; all other bad input is a ValueError or a TypeError."""

__all__ = [
    "CheckpointError",
    "CorpusError",
    "DeviceError",
    "MissingLibraryError",
    "ModelUnavailableError",
    "OutputError",
]


class CheckpointError(ValueError):
    """A model folder that cannot be used as it is; the message names the file and the reason."""


class CorpusError(ValueError):
    """A corpus on disk that is damaged, or of another model, input or setting than asked for."""


class DeviceError(RuntimeError):
    """A device that this machine does not have, or cannot use."""


class MissingLibraryError(ImportError):
    """A library that a call needs beside minibert's own, and that this Python cannot import."""


class ModelUnavailableError(OSError):
    """A model that is neither a folder, nor in the cache, nor to be had from the hub."""


class OutputError(OSError):
    """An output, a file or a folder, that cannot be created."""

"""What a caller may want to tell apart; all other bad input is a ValueError or a TypeError."""

__all__ = [
    "CheckpointError",
    "CorpusError",
    "DeviceError",
    "MissingExtraError",
    "ModelUnavailableError",
    "OutputError",
]


class CheckpointError(ValueError):
    """A model folder that cannot be used as it is; the message names the file and the reason."""


class CorpusError(ValueError):
    """A corpus on disk that is damaged, or of another model, input or setting than asked for."""


class DeviceError(RuntimeError):
    """A device that this machine does not have, or cannot use."""


class MissingExtraError(ImportError):
    """A library that only some uses need, and that is not installed; the message says how."""


class ModelUnavailableError(OSError):
    """A model that is neither a folder, nor in the cache, nor to be had from the hub."""


class OutputError(OSError):
    """An output, a file or a folder, that cannot be created."""

"""The names of a model's files: those that are read, fetched or converted, and other formats'.

Names and patterns only; no file is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from minibert.common.safetensors_files import INDEX, PICKLED_WEIGHTS

__all__ = [
    "FORMATS",
    "OTHER_FORMATS",
    "PICKLED_INDEX",
    "PICKLES",
    "SMALL_FILES",
    "TO_READ",
    "VOCABULARY",
    "WEIGHTS",
    "anywhere",
    "in_same_folder",
    "is_pickle",
    "matches",
    "to_convert",
]

# What is read beside weights and settings. No pickles, and nothing that is code.
VOCABULARY = [
    "added_tokens.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
]
# All that is read of a model but its weights; a hub also has pickles, ONNX and TensorFlow files.
SMALL_FILES = [
    *VOCABULARY,
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_*_config.json",
    INDEX,
]
WEIGHTS = ["model*.safetensors"]
PICKLED_INDEX = "pytorch_model.bin.index.json"
# What is fetched beside these to convert a model, and never opened.
PICKLES = [*PICKLED_WEIGHTS, PICKLED_INDEX, "adapter_model.bin"]
TO_READ = ["README.md", "LICENSE*", "*.model", "adapter_config.json"]
OTHER_FORMATS = ["onnx/*", "openvino/*"]
# What else a repository may have its weights as.
FORMATS = {
    "pytorch_model*.bin": "PyTorch",
    "*.h5": "TensorFlow",
    "*.msgpack": "Flax",
    "*.onnx": "ONNX",
    "openvino_model*.bin": "OpenVINO",
    "*.gguf": "GGUF",
    "*.ot": "Rust",
    "*.pt": "PyTorch",
}


def to_convert(files: list[str]) -> list[str]:
    """The files of a repository that a conversion takes: pickles only where they are needed."""
    safe = [file for file in files if matches(file, [*WEIGHTS, INDEX])]
    return [
        file
        for file in files
        if matches(file, SMALL_FILES + WEIGHTS + TO_READ)
        or (is_pickle(file) and not any(in_same_folder(file, other) for other in safe))
    ]


def anywhere(names: list[str]) -> list[str]:
    """Patterns of paths, for names in a folder and in all of its sub-folders."""
    return [*names, *(f"*/{name}" for name in names)]


def matches(file: str, patterns: Iterable[str]) -> bool:
    """Whether a file's name, in whatever folder, is one of some."""
    return any(fnmatchcase(file.rpartition("/")[2], pattern) for pattern in patterns)


def is_pickle(file: str) -> bool:
    """Whether a file of a repository has weights in a pickle, or says which files do."""
    return matches(file, PICKLES)


def in_same_folder(file: str, other: str) -> bool:
    """Whether two files of a repository lie in the same folder."""
    return file.rpartition("/")[0] == other.rpartition("/")[0]

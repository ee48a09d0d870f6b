"""Names of a model's files: those that are read, fetched or converted, and other formats'.

Only names and patterns; no file is opened.
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

# Files of vocabularies. No pickles, and no code.
VOCABULARY = [
    "added_tokens.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
]
# All files that are read, except weights. A hub has more, as pickles and files of TensorFlow.
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
# Files with pickles, or their index, that a conversion fetches.
PICKLES = [*PICKLED_WEIGHTS, PICKLED_INDEX, "adapter_model.bin"]
# Further files that a conversion copies.
TO_READ = ["README.md", "LICENSE*", "*.model", "adapter_config.json"]
# Folders of a repository that are never fetched.
OTHER_FORMATS = ["onnx/*", "openvino/*"]
# Files of weights that minibert does not read -> their format.
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
    """Select the files of a repository for a conversion: pickles only without safetensors."""
    safe = [file for file in files if matches(file, [*WEIGHTS, INDEX])]
    return [
        file
        for file in files
        if matches(file, SMALL_FILES + WEIGHTS + TO_READ)
        or (is_pickle(file) and not any(in_same_folder(file, other) for other in safe))
    ]


def anywhere(names: list[str]) -> list[str]:
    """Patterns of paths: names in a folder and in all of its sub-folders."""
    return [*names, *(f"*/{name}" for name in names)]


def matches(file: str, patterns: Iterable[str]) -> bool:
    """Return whether a file's name, in any folder, matches one of `patterns`."""
    return any(fnmatchcase(file.rpartition("/")[2], pattern) for pattern in patterns)


def is_pickle(file: str) -> bool:
    """Return whether a file of a repository is a pickle of weights, or an index of them."""
    return matches(file, PICKLES)


def in_same_folder(file: str, other: str) -> bool:
    """Return whether two files of a repository lie in the same folder."""
    return file.rpartition("/")[0] == other.rpartition("/")[0]

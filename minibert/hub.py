"""A model's name -> its folder on this machine. The only file that may use the network."""

from __future__ import annotations

import os
from pathlib import Path

from minibert.errors import CheckpointError, ModelUnavailableError
from minibert.json_files import inside, read_json
from minibert.modules import TRANSFORMER_FILES
from minibert.progress import stderr_there

__all__ = ["commit_of", "find_model", "hub_name"]

# All that is read of a model; a hub also has pickles, ONNX and TensorFlow files.
SMALL_FILES = [
    "added_tokens.json",
    "config.json",
    "config_sentence_transformers.json",
    "merges.txt",
    "model.safetensors.index.json",
    "modules.json",
    "sentence_*_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
]
# One of these is enough, with all of its files.
VOCABULARIES = [["tokenizer.json"], ["vocab.txt"], ["vocab.json", "merges.txt"]]
WEIGHTS = ["model*.safetensors"]
# Weights in one file; the second is refused later, with the command that converts it.
WHOLE = ["model.safetensors", "pytorch_model.bin"]
OTHER_FORMATS = ["onnx/*", "openvino/*"]

MODELS = "models--"  # begins the folder's name of every model in a cache

ORIGINAL_BERTS = {
    "bert-base-cased",
    "bert-base-cased-finetuned-mrpc",
    "bert-base-chinese",
    "bert-base-german-cased",
    "bert-base-german-dbmdz-cased",
    "bert-base-german-dbmdz-uncased",
    "bert-base-multilingual-cased",
    "bert-base-multilingual-uncased",
    "bert-base-uncased",
    "bert-large-cased",
    "bert-large-cased-whole-word-masking",
    "bert-large-cased-whole-word-masking-finetuned-squad",
    "bert-large-uncased",
    "bert-large-uncased-whole-word-masking",
    "bert-large-uncased-whole-word-masking-finetuned-squad",
}

# A folder with one of these was written by sentence-transformers, so it had a modules.json.
SENTENCE_TRANSFORMERS_FILES = [
    "config_sentence_transformers.json",
    *TRANSFORMER_FILES,
    "1_Pooling",
]


def find_model(
    model_name_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_folder: str | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    owner: str = "sentence-transformers",
) -> Path:
    """The folder of a model: a local folder, else the hub's cache, else a download into that cache.

    A local or completely cached model makes no network call. A name without an owner is taken for
    one of `owner`'s. The cache is `cache_folder`, else SENTENCE_TRANSFORMERS_HOME,
    else the hub library's own (HF_HOME); HF_HUB_OFFLINE forbids downloads.

    Raises FileNotFoundError for a path that does not exist, ModelUnavailableError for a name.
    """
    if not isinstance(model_name_or_path, str | os.PathLike):
        raise TypeError(
            f"model_name_or_path is {model_name_or_path!r:.60}; expected a folder or a name, as "
            "'sentence-transformers/all-MiniLM-L6-v2'."
        )
    text = os.fspath(model_name_or_path)
    path = Path(os.path.expanduser(text))
    if text and path.is_dir():
        return path
    if text and path.exists():
        raise NotADirectoryError(f"{text!r} is a file. Expected the folder of a model.")
    if not is_hub_name(text):
        raise FileNotFoundError(
            f"There is no folder {text!r}. Expected the folder of a model, or a name on the hub, "
            "such as 'sentence-transformers/all-MiniLM-L6-v2'."
        )
    cache = cache_folder or os.environ.get("SENTENCE_TRANSFORMERS_HOME")
    return model_of_hub(text, owner, revision, cache, token, local_files_only)


@stderr_there()
def model_of_hub(
    text: str,
    owner: str,
    revision: str | None,
    cache: str | None,
    token: str | bool | None,
    local_files_only: bool,
) -> Path:
    """The folder of a named model in the cache; downloaded if it is not, or not all, there."""
    # Imported here, because a local folder needs no network library.
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name = full_name(text, owner)

    def snapshot(patterns: list[str], *, local_files_only: bool) -> Path:
        folder = huggingface_hub.snapshot_download(
            name,
            revision=revision,
            cache_dir=cache,
            token=token,
            allow_patterns=[*patterns, *(f"*/{pattern}" for pattern in patterns)],
            ignore_patterns=OTHER_FORMATS,
            local_files_only=local_files_only,
        )
        return Path(str(folder))

    try:
        folder = snapshot(SMALL_FILES + WEIGHTS, local_files_only=True)
        missing = first_missing(folder)
        if missing is None:
            return folder
        reason = f"its cached copy is incomplete: {missing} is missing"
    except LocalEntryNotFoundError:
        reason = "it is not, or not completely, in the cache"
    except HFValidationError as error:
        raise FileNotFoundError(f"{text!r} is no folder and no model's name: {error}") from error

    if local_files_only or constants.is_offline_mode():
        raise ModelUnavailableError(
            f"{name}: {reason} ({cache or constants.HF_HUB_CACHE}), and downloads "
            "are off (local_files_only or HF_HUB_OFFLINE). Download it once while online, or give "
            "the path of its folder."
        )
    # The base of all that the library's HTTP client raises, whichever client its release uses.
    http_error: type[Exception] = next(
        base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError"
    )
    try:
        # The weights come last: where they are, all else is.
        snapshot(SMALL_FILES, local_files_only=False)
        folder = snapshot(SMALL_FILES + WEIGHTS, local_files_only=False)
        # Where the hub cannot be reached, the library returns an incomplete folder as it is.
        if missing := first_missing(folder):
            raise FileNotFoundError(f"{missing} could not be had")
        return folder
    except (http_error, OSError, ValueError) as error:  # ValueError: an answer that is no JSON
        raise ModelUnavailableError(
            f"{name}: {reason}, and the hub did not give it ({first_line(error)}). "
            "Check the name, the network and, for a private model, HF_TOKEN; or give the path of "
            "its folder."
        ) from error


def first_line(error: Exception) -> str:
    """The first line of an error's text, or its kind where it has none."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.removeprefix("Got: ")  # huggingface_hub's own preface


def is_hub_name(text: str) -> bool:
    """Whether a text can be NAME or OWNER/NAME, rather than a path."""
    return bool(text) and text.count("/") <= 1 and text[0] not in "./~" and "\\" not in text


def full_name(name: str, owner: str = "sentence-transformers") -> str:
    """OWNER/NAME for a name: like the reference, a bare one is of the class's own organisation.

    The few names without an owner that the hub has are the original BERTs.
    """
    return name if "/" in name or name.lower() in ORIGINAL_BERTS else f"{owner}/{name}"


def hub_name(model_name_or_path: str | os.PathLike[str], folder: Path) -> str | None:
    """The name that a model has on the hub, if it was given or the folder's path tells it."""
    text = os.fspath(model_name_or_path)
    if not Path(text).expanduser().is_dir():
        return full_name(text)
    for part in folder.resolve().parts:  # .../models--OWNER--NAME/snapshots/REVISION
        if part.startswith(MODELS):
            return part.removeprefix(MODELS).replace("--", "/", 1)
    return None


def commit_of(folder: Path) -> str | None:
    """The commit of a folder in the hub's cache, or None."""
    parts = folder.resolve().parts
    place = len(parts) - 2
    is_snapshot = place > 0 and parts[place] == "snapshots" and parts[place - 1].startswith(MODELS)
    return parts[-1] if is_snapshot else None


def first_missing(folder: Path) -> str | None:
    """The first file that a folder from the cache should have and has not, or None.

    A download that was cut short leaves such folders, and they must not count as the model.
    """
    if not (folder / "modules.json").exists():
        if any((folder / name).exists() for name in SENTENCE_TRANSFORMERS_FILES):
            return "modules.json"
        return first_missing_of_transformer(folder, "")
    for module in read_json(folder / "modules.json", list):
        name = module.get("path", "") if isinstance(module, dict) else ""
        kind = str(module.get("type", "")).rpartition(".")[2] if isinstance(module, dict) else ""
        if kind == "Transformer":
            if missing := first_missing_of_transformer(inside(folder, name), name):
                return missing
        elif kind in ("Pooling", "Dense", "LayerNorm"):
            # The others have no settings, and may have no folder.
            if not (inside(folder, name) / "config.json").exists():
                return f"{name}/config.json"
            if kind != "Pooling" and not any((inside(folder, name) / w).exists() for w in WHOLE):
                return f"{name}/model.safetensors"
    return None


def first_missing_of_transformer(folder: Path, name: str) -> str | None:
    """The same, for the folder of config.json, the vocabulary and the weights."""
    prefix = f"{name}/" if name else ""
    if not (folder / "config.json").exists():
        return f"{prefix}config.json"
    if not any(all((folder / name).exists() for name in words) for words in VOCABULARIES):
        half = (folder / "vocab.json").exists()
        return f"{prefix}merges.txt" if half else f"{prefix}tokenizer.json"
    if any((folder / weights).exists() for weights in WHOLE):
        return None
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return f"{prefix}model.safetensors"
    shards = read_json(index, dict).get("weight_map")
    if not isinstance(shards, dict):
        raise CheckpointError(f"{index}: weight_map is missing.")
    absent = (s for s in sorted(map(str, shards.values())) if not inside(folder, s).exists())
    return next((prefix + shard for shard in absent), None)

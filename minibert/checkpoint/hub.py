"""A model's name -> its folder on this machine. The only file that may use the network."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from minibert.checkpoint.transformer_settings import TRANSFORMER_FILES
from minibert.common.json_files import inside, read_json
from minibert.common.progress import stderr_there
from minibert.common.shell import MODELS, convert_command, hub_options, tokenizer_command
from minibert.errors import CheckpointError, ModelUnavailableError

__all__ = ["commit_of", "find_model", "find_pickles", "hub_name"]

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
# What is fetched beside these to convert a model, and never opened.
PICKLED_WEIGHTS = ["pytorch_model.bin", "pytorch_model-*-of-*.bin"]
PICKLES = [*PICKLED_WEIGHTS, "pytorch_model.bin.index.json", "adapter_model.bin"]
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

NOT_CACHED = "it is not, or not completely, in the cache"

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
    if folder := local_folder(model_name_or_path):
        return folder
    return model_of_hub(
        Repository.named(model_name_or_path, owner, revision, cache_folder, token),
        local_files_only,
    )


def find_pickles(
    model_name_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_folder: str | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Path:
    """The folder of a model with its pickles, which are fetched where they are the only weights.

    Raises what find_model does, and CheckpointError for a model of the hub without a pickle.
    """
    if folder := local_folder(model_name_or_path):
        return folder
    repository = Repository.named(model_name_or_path, None, revision, cache_folder, token)
    if local_files_only or is_offline():
        try:
            # The library returns all of a folder, if only the files that are asked for are there.
            return repository.snapshot(["config.json"], local_files_only=True)
        except tuple(hub_errors()) as error:
            raise not_cached(repository, NOT_CACHED) from error
    files = repository.files()
    wanted = to_convert(files) if files else anywhere(SMALL_FILES + WEIGHTS + PICKLES + TO_READ)
    if files and not any(map(is_pickle, wanted)):
        raise CheckpointError(
            f"{repository.name} has safetensors on the hub, so there is nothing to convert. Open "
            "it by its name."
            if any(matches(file, WEIGHTS) for file in wanted)
            else lacking(repository, "model.safetensors", files)
        )
    try:
        return repository.snapshot(wanted, local_files_only=False)
    except tuple(hub_errors()) as error:
        raise unavailable(repository, error, NOT_CACHED) from error


def local_folder(model_name_or_path: str | os.PathLike[str]) -> Path | None:
    """The folder that is named; None for what can be a name on the hub.

    Raises FileNotFoundError for what is neither.
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
    return None


class Repository(NamedTuple):
    """A model on the hub, the way it was asked for."""

    name: str  # OWNER/NAME
    revision: str | None
    cache: str | None
    token: str | bool | None
    options: tuple[str, ...]  # by which the command line asks for the same

    @classmethod
    def named(
        cls,
        text: str | os.PathLike[str],
        owner: str | None,
        revision: str | None,
        cache_folder: str | None,
        token: str | bool | None,
    ) -> Repository:
        """What find_model is asked for. Raises FileNotFoundError for what cannot be a name."""
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # no __all__

        name = full_name(os.fspath(text), owner or "sentence-transformers")
        try:
            validate_repo_id(name)
        except HFValidationError as error:
            raise FileNotFoundError(
                f"{os.fspath(text)!r} is no folder and no model's name: {error}"
            ) from error
        options = tuple(hub_options(revision, cache_folder))
        cache = cache_folder or os.environ.get("SENTENCE_TRANSFORMERS_HOME")
        return cls(name, revision, cache, token, options)

    @stderr_there()
    def snapshot(self, patterns: list[str], *, local_files_only: bool) -> Path:
        """Its folder in the cache, with the files whose paths match."""
        # Imported here, because a local folder needs no network library.
        import huggingface_hub

        folder = huggingface_hub.snapshot_download(
            self.name,
            revision=self.revision,
            cache_dir=self.cache,
            token=self.token,
            allow_patterns=patterns,
            ignore_patterns=OTHER_FORMATS,
            local_files_only=local_files_only,
        )
        return Path(str(folder))

    def files(self) -> list[str]:
        """The paths of all its files; none where the hub does not tell."""
        import huggingface_hub

        try:
            # Where the hub is not reached, list_repo_files would try for half a minute.
            info = huggingface_hub.model_info(self.name, revision=self.revision, token=self.token)
        except tuple(hub_errors()):
            return []
        return [file.rfilename for file in info.siblings or []]


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids downloads."""
    from huggingface_hub import constants

    return constants.is_offline_mode()


def hub_errors() -> list[type[Exception]]:
    """What the hub's library raises where it does not get something."""
    from huggingface_hub.errors import HfHubHTTPError

    # The base of all that its HTTP client raises, whichever client its release uses.
    http_error = next(base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError")
    return [http_error, OSError, ValueError]  # ValueError: an answer that is no JSON


def model_of_hub(repository: Repository, local_files_only: bool) -> Path:
    """The folder of a named model in the cache; downloaded if it is not, or not all, there.

    A folder with a pickle for its only weights is returned, too: whoever opens it says how it is
    converted.
    """
    folder, lack = cached(repository)
    if folder and not lack:
        return folder
    if local_files_only or is_offline():
        if folder:
            return folder
        raise not_cached(repository, lack)
    try:
        # The weights come last: where they are, all else is.
        repository.snapshot(anywhere(SMALL_FILES), local_files_only=False)
        fetched = repository.snapshot(anywhere(SMALL_FILES + WEIGHTS), local_files_only=False)
    except tuple(hub_errors()) as error:
        if folder:
            return folder
        raise unavailable(repository, error, lack) from error
    missing = first_missing(fetched)
    if missing is None or has_pickle_for(fetched, missing):
        return fetched
    files = repository.files()
    if files and missing not in files:
        raise CheckpointError(lacking(repository, missing, files))
    # Where the hub cannot be reached, the library returns an incomplete folder as it is.
    raise unavailable(repository, FileNotFoundError(f"{missing} could not be had"), lack)


def cached(repository: Repository) -> tuple[Path | None, str]:
    """What of a model is in the cache: its folder, and what lacks there.

    Without weights there is a folder only if it has a pickle instead.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = repository.snapshot(anywhere(SMALL_FILES + WEIGHTS), local_files_only=True)
    except LocalEntryNotFoundError:
        return None, NOT_CACHED
    missing = first_missing(folder)
    if missing is None:
        return folder, ""
    reason = f"its cached copy is incomplete: {missing} is missing"
    return (folder if has_pickle_for(folder, missing) else None), reason


def not_cached(repository: Repository, reason: str) -> ModelUnavailableError:
    """The error for a model that is not in the cache, while downloads are off."""
    from huggingface_hub import constants

    return ModelUnavailableError(
        f"{repository.name}: {reason} ({repository.cache or constants.HF_HUB_CACHE}), and "
        "downloads are off (local_files_only or HF_HUB_OFFLINE). Download it once while online, "
        "or give the path of its folder."
    )


def unavailable(repository: Repository, error: Exception, reason: str) -> ModelUnavailableError:
    """The error for a model that the hub did not give, with what to do about it."""
    from huggingface_hub.errors import GatedRepoError

    if isinstance(error, GatedRepoError):
        return ModelUnavailableError(
            f"{repository.name}: {reason}, and the hub gives it to those alone who have accepted "
            f"its terms. Accept them at https://huggingface.co/{repository.name}, and set HF_TOKEN "
            "to a token of that account; or give the path of its folder."
        )
    return ModelUnavailableError(
        f"{repository.name}: {reason}, and the hub did not give it ({first_line(error)}). "
        "Check the name, the network and, for a private model, HF_TOKEN; or give the path of "
        "its folder."
    )


def lacking(repository: Repository, missing: str, files: list[str]) -> str:
    """What is said of a repository that does not have a file, and of what it has instead."""
    name = repository.name
    if not missing.endswith("model.safetensors"):
        words = next((file for file in files if file.endswith(".model")), None)
        if missing.endswith("tokenizer.json") and words:
            return (
                f"{name} has no {missing} on the hub, and a sentencepiece model alone ({words}) is "
                "not read. Where transformers and sentencepiece are installed, this writes one "
                f"into a new folder: {tokenizer_command(name)[0]}"
            )
        return f"{name} has no {missing} on the hub, so it is no model that minibert can open."
    pickles = [file for file in files if matches(file, PICKLED_WEIGHTS) and beside(missing, file)]
    if pickles:
        return (
            f"{name} has its weights on the hub in {pickles[0]} only. That is a pickle, which can "
            "run code, so minibert never opens one. Write the model into a new folder without it, "
            f"and open that: {convert_command(name, *repository.options)}"
        )
    others = {FORMATS[form]: file for file in files for form in FORMATS if matches(file, [form])}
    found = ", ".join(f"{file} ({kind})" for kind, file in sorted(others.items()))
    return (
        f"{name} has no {missing} on the hub, and minibert reads no other weights. "
        + (f"It has {found}. " if found else "")
        + "Choose another model, or ask its owner for safetensors."
    )


def to_convert(files: list[str]) -> list[str]:
    """The files of a repository that a conversion takes: pickles only where they are needed."""
    safe = [file for file in files if matches(file, [*WEIGHTS, "model.safetensors.index.json"])]
    return [
        file
        for file in files
        if matches(file, SMALL_FILES + WEIGHTS + TO_READ)
        or (is_pickle(file) and not any(beside(file, other) for other in safe))
    ]


def anywhere(names: list[str]) -> list[str]:
    """Patterns of paths, for names in a folder and in all of its sub-folders."""
    return [*names, *(f"*/{name}" for name in names)]


def matches(file: str, patterns: list[str]) -> bool:
    """Whether a file's name, in whatever folder, is one of some."""
    return any(fnmatchcase(file.rpartition("/")[2], pattern) for pattern in patterns)


def is_pickle(file: str) -> bool:
    """Whether a file of a repository has weights in a pickle, or says which files do."""
    return matches(file, PICKLES)


def beside(file: str, other: str) -> bool:
    """Whether two files of a repository lie in the same folder."""
    return file.rpartition("/")[0] == other.rpartition("/")[0]


def has_pickle_for(folder: Path, missing: str) -> bool:
    """Whether a pickle lies where a folder lacks weights."""
    is_weights = missing.endswith(".safetensors")
    place = (folder / missing).parent
    return is_weights and any(any(place.glob(name)) for name in PICKLED_WEIGHTS)


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
            if kind != "Pooling" and not (inside(folder, name) / "model.safetensors").exists():
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
    if (folder / "model.safetensors").exists():
        return None
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return f"{prefix}model.safetensors"
    shards = read_json(index, dict).get("weight_map")
    if not isinstance(shards, dict):
        raise CheckpointError(f"{index}: weight_map is missing.")
    absent = (s for s in sorted(map(str, shards.values())) if not inside(folder, s).exists())
    return next((prefix + shard for shard in absent), None)

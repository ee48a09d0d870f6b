"""Model: a folder's BERT with a head, on a device; shared by SentenceTransformer and CrossEncoder.

Copies and pickles hold the path of the folder and the settings, not the weights; so do the
processes of a pool.

Imports that only an opened model needs are late, within functions: programs that import the class
alone do not wait for them. Few start processes, whose library takes the longest.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from minibert.common.progress import progress, wanted
from minibert.errors import CheckpointError, UnsavedError
from minibert.tokens.texts import prompt_of
from minibert.tokens.truncation import OnLong

if TYPE_CHECKING:
    from minibert.bert.load import Checkpoint
    from minibert.checkpoint.folder import Folder
    from minibert.checkpoint.save import Loaded
    from minibert.models.hf_tokenizer import Tokenizer
    from minibert.models.job import EncodeJob
    from minibert.models.model_config import ModelConfig
    from minibert.models.processes import Processes, Recipe
    from minibert.models.transformer import Transformer

__all__ = ["Model", "job_of", "prompt_name_of", "prompt_of_task"]

logger = logging.getLogger(__name__)

Self = TypeVar("Self", bound="Model")


class Model:
    """A Transformer with a head. Threads may share one."""

    config: ModelConfig  # the settings of config.json
    folder: Folder  # settings of the model's folder
    transformer: Transformer  # the BERT and its tokenizer
    prompts: dict[str, str]  # name -> prompt
    default_prompt_name: str | None  # of the prompt where a call names none
    on_long: OnLong  # for texts above the maximum length, where a call says nothing
    is_changed: bool = False  # True where it is not the model of `folder` any more

    _saved: Folder | None = None  # that has a changed model
    _changes: int = 0
    _loaded: Loaded  # files of `folder`, as they were when it was read

    # Subclasses define or extend these.

    @property
    def saved_folder(self) -> Folder:
        """Folder that has this model, for copies, pickles, processes and digests.

        Of a changed model it is the one that save_pretrained wrote. Raises UnsavedError if there is
        none.
        """
        if not self.is_changed:
            return self.folder
        if self._saved is None:
            raise UnsavedError(
                "This model was trained, or put together from modules, and is not saved, so no "
                "folder has it. Copies, pickles, processes and corpora need one. Call "
                "save_pretrained() first."
            )
        return self._saved

    def _note_change(self) -> None:
        """Note that no folder has this model, as it is now."""
        self.is_changed, self._saved = True, None
        self._changes += 1

    def use_folder(self, path: str | os.PathLike[str]) -> None:
        """Take a folder with this model, as it is now, for its `saved_folder`."""
        from minibert.checkpoint.folder import read_folder  # late: see the top
        from minibert.checkpoint.save import loaded_files

        self._saved = read_folder(Path(os.path.expanduser(path)))
        self.transformer.use_files(self._saved.transformer.path)
        self._loaded = loaded_files(self.folder)  # it may be that folder

    def _place_head(self) -> None:
        """Bring the head's tensors to the transformer's device."""
        raise NotImplementedError

    def _take_prompts(self, prompts: dict[str, str], default_prompt_name: str | None) -> None:
        """Keep the prompts, and the name of the default one: the caller's, else the folder's.

        Raises ValueError for a name that is not among them, CheckpointError if it is the folder's.
        """
        self.prompts = prompts
        self.default_prompt_name = default_prompt_name or self.folder.default_prompt_name
        try:
            prompt_of(prompts, None, self.default_prompt_name)
        except ValueError as error:
            if default_prompt_name:
                raise
            raise CheckpointError(
                f"{self.folder.path / 'config_sentence_transformers.json'}: default_prompt_name: "
                f"{error} Pass prompts=, or another default_prompt_name=."
            ) from None

    def _arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments that load this model from its folder."""
        return {
            "device": self.device,
            "threads": self.transformer.threads,
            "on_long": self.on_long,
            "reproducible": self.transformer.reproducible,
            "short_inputs": self.transformer.short_inputs,
            "dtype": self.dtype,
            "prompts": dict(self.prompts),
            "default_prompt_name": self.default_prompt_name,
        }

    def _state(self) -> dict[str, Any]:
        """Return the attributes to set afterwards, which the constructor does not take."""
        return {
            "prompts": dict(self.prompts),
            "default_prompt_name": self.default_prompt_name,
            "max_seq_length": self.max_seq_length,
        }

    def _computed_by(self) -> tuple[Any, ...]:
        """Return all that the results of a process depend on, beside its arguments."""
        transformer = self.transformer
        rounding = transformer.reproducible, transformer.short_inputs, self.dtype
        return (
            type(self),
            str(self.saved_folder.path),
            self.max_seq_length,
            self._changes,
            *rounding,
        )

    def fingerprint(self) -> str:
        """Compute a digest of the model's files, and of the settings that its results depend on.

        A cross-encoder's activation is not among them. All files are read. Raises UnsavedError for
        a model that was trained and not saved.
        """
        import hashlib  # late: see the top

        from minibert.checkpoint.save import digest_of_files, loaded_files

        folder = self.saved_folder
        files = digest_of_files(folder.path, sorted(loaded_files(folder)))
        # Their folders may have another path today.
        transformer, *modules = (
            {name: value for name, value in settings._asdict().items() if name != "path"}
            for settings in (self.transformer.settings, *list(self)[1:])
        )
        settings = self._state(), self.on_long, self.dtype, transformer, modules
        return hashlib.sha256(repr((type(self).__name__, files, settings)).encode()).hexdigest()

    @property
    def max_seq_length(self) -> int:
        """Maximum number of tokens of a text, with [CLS] and [SEP], to truncate at. Can be set."""
        return self.transformer.max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, length: int) -> None:
        self.transformer.max_seq_length = length

    @property
    def checkpoint(self) -> Checkpoint:
        """Files and tensors of the BERT."""
        return self.transformer.checkpoint

    @property
    def device(self) -> str:
        """Device where the model computes: "cpu", "cuda" or "cuda:1"."""
        return self.transformer.device.name

    @property
    def dtype(self) -> str:
        """Type of the BERT's layers: "float32", or on a GPU "float16"."""
        return self.transformer.device.dtype

    @property
    def tokenizer(self) -> Tokenizer:
        """Tokenizer, under transformers' names."""
        return self.transformer.tokenizer

    def to(self: Self, device: Any) -> Self:  # Any: a str, or a device of torch
        """Move the model to a device; returns itself."""
        if (str(device), self.transformer.dtype) != (self.device, self.dtype):
            self._move(device)
        return self

    def half(self: Self) -> Self:
        """Compute in float16 from now on, which takes a GPU; vectors stay float32. Returns itself.

        Weights and activations are float16; sums, layer norms and all after the BERT float32.
        """
        self._move(self.device, "float16")
        return self

    def float(self: Self) -> Self:
        """Compute in float32 from now on. Returns itself."""
        self._move(self.device, "float32")
        return self

    def _move(self, device: Any, dtype: str | None = None) -> None:
        self.transformer.to(device, dtype)
        self._place_head()

    def use_threads(self, threads: int | None) -> None:
        """Set the number of cores to use; None means all that this process may use."""
        self.transformer.threads = threads

    def eval(self: Self) -> Self:
        """Do nothing, for programs that call it: there is no training mode. Returns itself."""
        return self

    def start_multi_process_pool(self, target_devices: Sequence[str] | None = None) -> Processes:
        """Start one process for each device, with a copy of this model, for encode(..., pool=...).

        Without devices there is a process for every core. The weights are mapped from the file, so
        the processes share them. As with every "spawn", a script needs its
        `if __name__ == "__main__":`.
        """
        from minibert.models.processes import Processes

        return Processes(self._recipe(), target_devices)

    @staticmethod
    def stop_multi_process_pool(pool: Processes) -> None:
        """End the processes of start_multi_process_pool."""
        pool.stop()

    @contextmanager
    def _workers(
        self, texts: int, show_progress_bar: bool | None, device: Any, pool: Processes | None
    ) -> Iterator[tuple[Processes | None, Callable[[int], object]]]:
        """Yield the processes for a call's block, None where this one computes, and its progress.

        `device` is a list, with a process for each, or one device that the model moves to.
        """
        with progress(texts, wanted(show_progress_bar)) as advance:
            if device is not None and (isinstance(device, str) or not isinstance(device, Sequence)):
                self.to(device)
                device = None
            if pool is None and device is None:
                yield None, advance
                return
            from minibert.models.processes import shared

            with shared(self._recipe(), pool, device) as processes:
                yield processes, advance

    def __iter__(self) -> Iterator[Any]:
        """Yield the Transformer, then the modules after it."""
        yield self.transformer

    def __repr__(self) -> str:
        modules = "\n".join(f"  ({number}): {module}" for number, module in enumerate(self))
        return f"{type(self).__name__}(\n{modules}\n)"

    def _recipe(self, **changes: Any) -> Recipe:
        """Return the recipe of a process's copy, which then moves to a device with its own threads.

        The copy is made on the CPU, so this model's dtype is for the device it moves to.

        `changes` replace this model's own arguments of the constructor.
        """
        from minibert.models.processes import Recipe

        on_cpu = {"device": "cpu", "dtype": None, "threads": None}
        arguments = {**self._arguments(), **on_cpu, **changes}
        path = str(self.saved_folder.path)
        arguments_of = (type(self), path, arguments, self._state(), self.dtype)
        return Recipe(opened, arguments_of, self._computed_by())

    def __reduce__(self) -> tuple[Any, ...]:
        path = str(self.saved_folder.path)
        return opened, (type(self), path, self._arguments(), self._state())


def prompt_name_of(
    model: Model, task: str, prompt: str | None, prompt_name: str | None
) -> str | None:
    """Choose the name of a call's prompt: of a "query" or a "document" where none is given."""
    if prompt is not None or prompt_name is not None:
        return prompt_name
    names = ("query",) if task == "query" else ("document", "passage", "corpus")
    return next((name for name in names if name in model.prompts), None)


def prompt_of_call(model: Model, prompt: str | None, prompt_name: str | None) -> str:
    """Choose the prompt of a call: the one given, else the one named, else the default one."""
    if prompt is not None and prompt_name is not None:
        logger.warning("Both prompt and prompt_name are given; prompt counts.")
    return prompt_of(model.prompts, prompt, prompt_name or model.default_prompt_name)


def prompt_of_task(
    model: Model, task: str, prompt: str | None = None, prompt_name: str | None = None
) -> str:
    """Choose the prompt of a "query" or a "document": as encode_query or encode_document does."""
    return prompt_of_call(model, prompt, prompt_name_of(model, task, prompt, prompt_name))


def job_of(
    model: Model,
    texts: int,
    on_long: OnLong,
    prompt: str | None = None,
    prompt_name: str | None = None,
    task: str | None = None,
    *,
    pack_tokens: int | None = None,
    batch_size: int | None = None,
    dimension: int = 0,
    normalize: bool = False,
) -> EncodeJob:
    """Make the job of a call for so many texts, from checked arguments."""
    from minibert.models.job import EncodeJob

    before = prompt_of_call(model, prompt, prompt_name)
    return EncodeJob(
        texts=texts,
        max_tokens=model.transformer.limit(task),
        prompt=before,
        prompt_tokens=model.transformer.prompt_tokens(before),
        dimension=dimension,
        normalize=normalize,
        on_long=on_long,
        pack_tokens=pack_tokens,
        batch_size=batch_size,
    )


def opened(
    kind: Any,
    path: str,
    arguments: dict[str, Any],
    state: dict[str, Any],
    next_dtype: str | None = None,
) -> Any:
    """Load a model from the folder that copies and pickles hold, perhaps with fewer cores now.

    `next_dtype` is the dtype on the device to which it moves next.
    """
    from minibert.kernels.cores import available_threads

    threads = min(arguments["threads"] or available_threads(), available_threads())
    model = kind(path, **{**arguments, "threads": threads})
    for name, value in state.items():
        setattr(model, name, value)
    if next_dtype:
        model.transformer.dtype = next_dtype
    return model

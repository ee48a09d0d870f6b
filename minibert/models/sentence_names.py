"""Methods that SentenceTransformer has for programs of sentence-transformers alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from minibert.common.arguments import check_choice, type_of
from minibert.errors import CheckpointError, UnsavedError
from minibert.models.reference_names import ReferenceNames
from minibert.tokens.texts import is_one

if TYPE_CHECKING:
    from minibert.models.bert_model import BertModel
    from minibert.models.processes import Processes
    from minibert.models.signatures import Encoded, Inputs
    from minibert.pooling.registry import ModuleSettings
    from minibert.scoring.quantization import Precision

__all__ = ["SentenceNames"]

Self = TypeVar("Self", bound="SentenceNames")


class SentenceNames(ReferenceNames):
    """A Model with further names of the reference's SentenceTransformer."""

    # Of SentenceTransformer:
    include_prompt: Any  # True where [CLS] and the prompt count in the pooling
    encode: Any  # texts -> vectors
    get_embedding_dimension: Any  # -> D
    truncate_embeddings: Any  # keeps another number of dimensions within a block
    trainable: Any  # -> this model as training sees it
    trained: Mapping[str, Any]  # tensors in place of the folder's, by key
    _read_modules: Any

    def append(self: Self, module: ModuleSettings) -> Self:
        """Add a module of minibert.models, such as Normalize(), after the last. Returns itself."""
        return self.insert(len(list(self)), module)

    def extend(self: Self, sequential: Iterable[ModuleSettings]) -> Self:
        """Add several modules after the last. Returns itself."""
        return self._use_modules([*list(self)[1:], *sequential])

    def insert(self: Self, index: int, module: ModuleSettings) -> Self:
        """Add a module before model[index]. Returns itself.

        The model then is in no folder until it is saved, as a trained one is. Raises IndexError for
        an index that the model has not, ValueError for 0, where the Transformer stays, and for a
        module with weights of its own, TypeError for what is no module, CheckpointError for an
        order that makes no vectors.
        """
        modules = list(self)
        modules.insert(self._place_of(index, len(modules) + 1), module)
        return self._use_modules(modules[1:])

    def pop(self, key: int) -> ModuleSettings:
        """Take a module out of the model, and return it. See insert() for the errors."""
        modules = list(self)
        taken: ModuleSettings = modules.pop(self._place_of(key, len(modules)))
        self._use_modules(modules[1:])
        return taken

    def _place_of(self, index: int, end: int) -> int:
        """Return the place of an index, which may count from the end, as a number below `end`."""
        count = len(list(self))
        place = index + count if index < 0 else index
        if not 0 <= place < end:
            raise IndexError(f"The index is {index}; this model has {count} modules.")
        if place == 0:
            raise ValueError("The Transformer is the first module, and stays there.")
        return place

    def _use_modules(self: Self, modules: Sequence[object]) -> Self:
        """Compute with other modules after the Transformer from now on. Returns itself."""
        from minibert.models.parts import checked_modules  # late: few programs need it

        if any("/" in key for key in self.trained):
            raise UnsavedError(
                "The model's modules were trained and are not saved. Call save_pretrained(), and "
                "open that folder."
            )
        before = self.folder
        changed = checked_modules(modules, before.modules)
        self.folder = replace(before, modules=changed, has_modules=False)
        try:
            self._read_modules()
        except CheckpointError:
            self.folder = before
            raise
        self._note_change()
        return self

    def set_pooling_include_prompt(self, include_prompt: bool) -> None:
        """Set include_prompt."""
        self.include_prompt = include_prompt

    def get_sentence_embedding_dimension(self) -> int:
        """Older name of get_embedding_dimension()."""
        dimension: int = self.get_embedding_dimension()
        return dimension

    def truncate_sentence_embeddings(
        self, truncate_dim: int | None
    ) -> AbstractContextManager[None]:
        """Older name of truncate_embeddings()."""
        block: AbstractContextManager[None] = self.truncate_embeddings(truncate_dim)
        return block

    @classmethod
    def load(cls: type[Self], input_path: str | os.PathLike[str]) -> Self:
        """Older name of SentenceTransformer(input_path)."""
        kind: Any = cls
        model: Self = kind(input_path)
        return model

    @classmethod
    def merge(
        cls: type[Self],
        models: Sequence[str | os.PathLike[str] | Self],
        method: str = "linear",
        *,
        base_model: object = None,
        parameters: Mapping[str, object] | None = None,
        dtype: object = "float32",
        out_dtype: object = None,
        device: str = "cpu",
        batch_options: object = None,
        **load_kwargs: object,
    ) -> Self:
        """Merge two or more models that were trained from one: the weighted means of their tensors.

        `models` are models, folders or names, `load_kwargs` the constructor's arguments for these.
        `parameters` are {"weight": a number for each model}, by default 1, and {"normalize": False}
        for the sum instead of the mean. Prompts, metric and other settings are the first model's.
        The result is in no folder until it is saved.

        Raises ValueError for other methods than "linear", for their arguments, for models that
        differ in form, and for a family that minibert does not train; TypeError for no models.
        """
        from minibert.models.foreign_arguments import check_neutral
        from minibert.models.merging import merged  # late: few programs need it

        check_choice("method", method, ("linear",))
        check_neutral(base_model=base_model, out_dtype=out_dtype, batch_options=batch_options)
        if isinstance(models, str | os.PathLike) or len(models) < 2:
            raise ValueError(f"models is {models!r:.80}; expected a list of two or more.")
        kind: Any = cls
        opened = [
            kind(model, device=device, dtype=dtype, **load_kwargs)
            if isinstance(model, str | os.PathLike)
            else model
            for model in models
        ]
        for model in opened:
            if not isinstance(model, cls):
                raise TypeError(f"models has {type_of(model)}; expected models, paths or names.")
        return merged(opened, parameters or {})

    @property
    def transformers_model(self) -> BertModel:
        """BERT, under transformers' names."""
        return self.transformer.auto_model

    def is_singular_input(self, inputs: object) -> bool:
        """Return whether encode() takes an input for one text, and not for a list of them."""
        return is_one(inputs)

    def encode_multi_process(
        self,
        sentences: Inputs,
        pool: Processes,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        chunk_size: int | None = None,
        show_progress_bar: bool | None = None,
        precision: Precision | None = "float32",
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
    ) -> Encoded:
        """Older name of encode(sentences, pool=pool)."""
        rows: Encoded = self.encode(
            sentences, prompt_name, prompt, batch_size, show_progress_bar,
            precision=precision, normalize_embeddings=normalize_embeddings,
            truncate_dim=truncate_dim, pool=pool, chunk_size=chunk_size,
        )  # fmt: skip
        return rows

    def fit(
        self,
        train_objectives: Iterable[tuple[Iterable[Any], Any]],  # torch's are known when looked at
        evaluator: Callable[..., Any] | None = None,  # called by name; a score, or a dict of them
        epochs: int = 1,
        steps_per_epoch: int | None = None,
        scheduler: str = "WarmupLinear",
        warmup_steps: int = 10000,
        optimizer_class: object = "AdamW",
        optimizer_params: Mapping[str, object] = MappingProxyType({"lr": 2e-5}),
        weight_decay: float = 0.01,
        evaluation_steps: int = 0,
        output_path: str | os.PathLike[str] | None = None,
        save_best_model: bool = True,
        max_grad_norm: float = 1,
        use_amp: bool = False,
        callback: Callable[[Any, int, int], object] | None = None,  # gets the evaluator's result
        show_progress_bar: bool = True,
        checkpoint_path: str | os.PathLike[str] | None = None,
        checkpoint_save_steps: int = 500,
        checkpoint_save_total_limit: int = 0,
        resume_from_checkpoint: bool = False,
    ) -> None:
        """Train this model, as sentence-transformers' fit does. See minibert.training.fit, too.

        In each step every objective has a batch and an update, in turn, with an optimizer of its
        own. A call trains on the CPU, with dropout, and gives the same result each time.

        Args:
            train_objectives: Pairs (batches, loss). Batches are an iterable of lists of
                InputExamples, as a DataLoader, also one of torch; it is read again when it is
                exhausted. The loss is one of minibert.losses.
            evaluator: Called as evaluator(model, output_path=, epoch=, steps=) after each epoch,
                with steps -1. Returns a score, the higher the better, or measures by name, of which
                its `primary_metric` names the score. RetrievalEvaluator is one.
            epochs: Number of epochs.
            steps_per_epoch: Steps of an epoch; None or 0 is the length of the shortest batches.
            scheduler: "WarmupLinear", "ConstantLR", "WarmupConstant", "WarmupCosine" or
                "WarmupCosineWithHardRestarts", in any case.
            warmup_steps: Number of steps over which the learning rate rises from 0.
            optimizer_class: "AdamW" or torch's class is torch's AdamW; "adamw_hf" or transformers'
                class is that of transformers before version 5.
            optimizer_params: "lr", the highest learning rate, and as wanted "eps" and "betas".
            weight_decay: Weight decay, of all but biases and layer norms.
            evaluation_steps: Steps between two evaluations within an epoch; 0 makes none there.
            output_path: Folder of the best model by the evaluator; without one, of the last model.
            save_best_model: False with an evaluator saves no model in `output_path`.
            max_grad_norm: Largest norm of the gradients, which are scaled to it.
            use_amp: True is refused: it is for GPUs.
            callback: Called as callback(score, epoch, steps) after each evaluation.
            show_progress_bar: False shows none.
            checkpoint_path: Folder of checkpoints: model folders, named by their step.
            checkpoint_save_steps: Steps between two checkpoints; there is always one at the end.
            checkpoint_save_total_limit: Number of checkpoints that are kept; 0 keeps all.
            resume_from_checkpoint: True is refused: minibert.training.fit goes on by itself.

        Raises ValueError or TypeError for an argument that cannot be followed, TrainingError for
        examples, with batch and number, and for a loss that is no finite number, with the step.
        """
        from minibert.training.reference_fit import Call  # late: see the top

        Call(
            train_objectives, evaluator, epochs, steps_per_epoch, scheduler, warmup_steps,
            optimizer_class, optimizer_params, weight_decay, evaluation_steps, output_path,
            save_best_model, max_grad_norm, use_amp, callback, show_progress_bar, checkpoint_path,
            checkpoint_save_steps, checkpoint_save_total_limit, resume_from_checkpoint,
        ).train(self)  # fmt: skip

    old_fit = fit

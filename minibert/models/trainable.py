"""A model whose tensors can be trained: texts and labels -> the loss, and its gradients.

The stored tensors lie in the memory of the model's device, where an optimizer changes them in
place. Each step tokenises the texts of a batch, computes packs forward and backward, on a CPU in
threads, and sums their gradients. Start at Trainable.add_gradients.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from minibert.bert import backward, forward
from minibert.bert.dropout import Draws, Dropout, Rates, dropout_rates
from minibert.bert.families import FAMILIES, positions_of
from minibert.bert.hook import ForGradients
from minibert.bert.layout import read_parameters, stored_gradients
from minibert.bert.packs import Pack, packs
from minibert.bert.parameters import Config, Layer, Parameters
from minibert.bert.placement import OnHost, pack_to_device, parameters_to_device
from minibert.checkpoint.model_files import VOCABULARY
from minibert.common.arrays import Array, IntArray
from minibert.common.safetensors_files import Tensors, weight_files
from minibert.common.tensors_in_memory import TensorsInMemory
from minibert.errors import DeviceError
from minibert.kernels.cores import one_blas_thread
from minibert.kernels.devices import to_host, update_kernels
from minibert.models.room import ON_CPU, ON_GPU, pack_tokens_of
from minibert.pooling.pipeline import load_pipeline
from minibert.training.losses import Loss
from minibert.training.model_card import Described, model_card
from minibert.training.packs import packs_of_examples
from minibert.training.sums import Sums

if TYPE_CHECKING:
    from minibert.models.transformer import Transformer
    from minibert.pooling.pipeline import Pipeline
    from minibert.tokens.texts import Text
    from minibert.tokens.truncation import OnLong

__all__ = ["Trainable", "check_trainable"]

# Modules without a way back.
NOT_TRAINED = ("StaticEmbedding", "WeightedLayerPooling")

# Calls a function for each number of a pack, and gives the results in their order, as `map` does.
InOrder: TypeAlias = Callable[[Callable[[int], Any], Iterable[int]], Iterator[Any]]


@dataclass(frozen=True)
class Batch:
    """Texts and labels of a step, in packs."""

    packs: list[Pack]  # of text c * examples + e: column c of example e
    columns: int
    examples: int
    labels: Array | None
    loss: Loss
    draws: Draws  # of dropout
    scale: float  # of the gradients


class Computed(NamedTuple):
    """Vectors of a pack, and what its backward pass needs."""

    vectors: Callable[[], Array]  # waits for the device: -> (S, D) on the host
    kept: dict[str, Array]  # of the BERT's forward pass
    modules: Any  # of the modules' forward pass

    def bytes(self) -> int:
        """Return the bytes of what was kept of the BERT."""
        return sum(array.nbytes for array in self.kept.values())


class HasTensors(Described, Protocol):
    """A SentenceTransformer, as far as its tensors are trained."""

    card: str | None  # README.md of the folders that it is saved to
    on_long: OnLong  # "error" refuses texts above the maximum length, "ignore" tells nothing
    transformer: Transformer
    trained: Mapping[str, Array]  # tensors in place of the checkpoint's, by key

    @property
    def config(self) -> Config: ...

    @property
    def device(self) -> str: ...

    @property
    def max_seq_length(self) -> int: ...

    def use_tensors(
        self, parameters: Parameters, pipeline: Pipeline, trained: Mapping[str, Array]
    ) -> None: ...

    def save_pretrained(self, path: str | os.PathLike[str]) -> None: ...

    def use_folder(self, path: str | os.PathLike[str]) -> None: ...


class Trainable:
    """A SentenceTransformer's tensors, the gradients by them, and their way back into the model.

    Computes on the model's device, on a CPU in its threads. All tensors stay there, and so do
    their gradients; of a batch, tokens and gradients by vectors go there, and vectors come back.
    One thread at a time may call it.
    """

    values: dict[str, Array]  # key -> tensor as in the file; an optimizer changes it in place

    def __init__(
        self,
        model: HasTensors,
        *,
        seed: int = 42,
        dropout: bool = True,
        dtype: str = "float32",
        pack_tokens: int | None = None,
        kept_bytes: int | None = None,
    ) -> None:
        """Copy the tensors into memory; the model computes with these from the first refresh on.

        `dropout` drops at the rates of the folder's settings, with random numbers of `seed`.
        `dtype` "float64" is for comparisons: the model itself then stays as it is. A pack has at
        most `pack_tokens` tokens, by default those of pack_tokens_of; sums over packs round by it.
        `kept_bytes` of arrays wait for the loss of a batch, by default those of the device's Room,
        and change no bit.

        Raises ValueError for a dtype or a family that cannot be trained; DeviceError for a GPU
        without room.
        """
        check_trainable(model)
        self.model = model
        self.config = model.config
        self.seed, self.dtype = seed, dtype
        self._device = model.transformer.device
        room = ON_CPU if self._device.name == "cpu" else ON_GPU
        self._pack_tokens = pack_tokens or pack_tokens_of(self.config, room)
        self._kept_bytes = room.kept_bytes if kept_bytes is None else kept_bytes
        self._family = FAMILIES[self.config.model_type]
        self._rates: Rates | None = None
        if dropout:
            settings = model.checkpoint.settings
            self._rates = dropout_rates(settings, self._family.keys, self._family.dropout)
        self._trained = model.trained  # by an earlier run
        self._tensors = self._in_memory(model.checkpoint.tensors)
        self._of_modules: dict[Path, TensorsInMemory] = {}
        self._first_use = first_uses(self._family.layout.layer_names(self.config))
        self._gradients = self._device.gradient_kernels()
        self._sums = Sums(self._zeros_of, self._gradients.add_at_, self._sum_name, self._uses)
        self._has_told = False  # of truncated texts
        self._card: str | None = None  # of the trained model
        with self._errors_of_memory():
            self._read_tensors()

    def refresh(self) -> None:
        """Bring changed values into the model, whose encode() then uses them."""
        with self._errors_of_memory():
            self._read_tensors()
            if self._card is not None:
                self.model.card = self._card
            self._give_tensors()

    def _give_tensors(self) -> None:
        """Let the model compute with the values; it then knows no folder that has them."""
        if self.dtype == "float32":
            self.model.use_tensors(self.parameters, self.pipeline, OnHost(self.values))

    def _read_tensors(self) -> None:
        """Make parameters and modules from the values, of which most are views."""
        folder, device = self.model.folder, self._device
        with device.active():
            self.parameters = read_parameters(
                self._family.layout, self._tensors, self.config, device.kernels
            )
            self.pipeline = load_pipeline(
                folder.path, folder.modules, self.config.hidden_size, self._tensors_of
            )
        if device.name != "cpu":  # zeros of what the files lack
            self.parameters = parameters_to_device(self.parameters, device)
            self.pipeline = self.pipeline.to_device(device.tensors_to_device)
        self.values = dict(self._tensors.values)
        for tensors in self._of_modules.values():
            self.values |= tensors.values

    def _tensors_of(self, path: Path) -> TensorsInMemory:
        """Return the tensors of a module's folder, in memory."""
        if path not in self._of_modules:
            place = path.relative_to(self.model.folder.path).as_posix()
            self._of_modules[path] = self._in_memory(Tensors(weight_files(path)), f"{place}/")
        return self._of_modules[path]

    def _in_memory(self, tensors: Tensors, before: str = "") -> TensorsInMemory:
        """Hold tensors of a file on the device; `before` begins their keys."""
        return TensorsInMemory(
            tensors, self.dtype, self._trained, before=before, to_device=self._device.to_device
        )

    def describe_training(self, section: str) -> None:
        """Make the card of the folders that the model is saved to once it is refreshed."""
        self._card = model_card(self.model, section)

    def save(self, folder: Path) -> None:
        """Write the model's folder, with the values as they are now.

        The folder may be renamed afterwards, so the model does not take it for its own: see
        use_folder.
        """
        self.model.save_pretrained(folder)
        self._give_tensors()

    @property
    def folder(self) -> Path:
        """Folder that the model was opened from; `save` copies the vocabulary from there."""
        return self.model.folder.path

    def use_folder(self, folder: Path) -> None:
        """Tell the model that a folder has it as it is now."""
        self.model.use_folder(folder)

    def fingerprint(self) -> str:
        """Compute a digest of the values, the vocabulary and all settings of their training."""
        import hashlib  # late: 3 ms

        model = self.model
        # Their folder may have another path today.
        modules = repr(model.folder.modules).replace(repr(str(model.folder.path))[1:-1], "")
        transformer = model.transformer.settings
        settings = [
            model.checkpoint.settings,
            transformer._replace(path=Path()),
            *(model.max_seq_length, modules, self._rates),
        ]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=repr).encode())
        for file in (transformer.path / name for name in VOCABULARY):
            if file.is_file():
                digest.update(file.name.encode() + file.read_bytes())
        for key, tensor in sorted(self.values.items()):
            digest.update(key.encode())
            digest.update(to_host(tensor).data)
        return digest.hexdigest()

    def zero_gradients(self) -> None:
        """Forget the gradients that were added."""
        self._sums.totals.clear()

    @property
    def gradients(self) -> dict[str, Array]:
        """Gradients by the values, by key; a tensor that no vector depends on has none."""
        fields = dict(self._sums.totals)
        layers: list[Layer] = []
        for number, layer in enumerate(self.parameters.layers):
            first, place = self._first_use[number], f"layer.{number}"
            own = {name: fields.pop(f"{place}.{name}", None) for name in layer._fields}
            layers.append(layers[first] if first < number else layer._replace(**own))
        # Fields without a gradient are None.
        named: dict[str, Any] = {name: fields.pop(name, None) for name in Parameters._fields}
        of_bert = Parameters(**{**named, "layers": tuple(layers)})
        with self._errors_of_memory(), self._device.active():
            found = stored_gradients(
                self._family.layout, of_bert, self._tensors, self.config, self._device.kernels
            )
        return {**found, **fields}  # the modules' gradients have their keys already

    def add_gradients(
        self,
        texts: Sequence[Sequence[Text]],
        labels: Array | None,
        loss: Loss,
        step: int,
        scale: float = 1.0,
    ) -> float:
        """Add the gradients of a batch's loss, times `scale`; return the loss itself.

        `texts` are columns of B texts each. `step` counts batches from 0, and is one of the numbers
        that dropout is drawn from. Texts above the maximum length are truncated, and a warning says
        so once, unless the model's `on_long` is "error" or "ignore".

        Raises ValueError for texts, labels and a loss that do not fit one another; DeviceError
        where the memory of a GPU runs out.
        """
        examples = len(texts[0])
        loss.check(len(texts), labels, examples)
        packed = self._packs(texts, loss.is_mean)
        batch = Batch(packed, len(texts), examples, labels, loss, Draws(self.seed, step), scale)
        self._sums.begin()
        with self._errors_of_memory(), one_blas_thread(), self._workers() as in_order:
            if loss.is_mean or len(packed) == 1:
                parts = in_order(partial(self._whole_examples, batch), range(len(packed)))
                return float(np.sum(list(parts)))
            return self._in_two_passes(batch, in_order)

    @contextmanager
    def _workers(self) -> Iterator[InOrder]:
        """Start the threads of a CPU. A GPU has this thread alone: CuPy's handles belong to it."""
        if self._device.name != "cpu":
            yield map
            return
        with ThreadPoolExecutor(self.model.transformer.threads) as workers:
            try:
                yield workers.map
            finally:  # after an error or Ctrl-C, begin no more of them
                self._sums.fail()
                workers.shutdown(wait=True, cancel_futures=True)

    @contextmanager
    def _errors_of_memory(self) -> Iterator[None]:
        """Turn the error of a GPU whose memory runs out into one that says what to do."""
        try:
            yield
        except self._device.out_of_memory as error:
            raise DeviceError(
                f"device {self._device.name!r}: the GPU's memory has no room for this model and "
                f"packs of {self._pack_tokens} tokens ({error}). Train with a smaller batch_size "
                "(--batch-size) and more accumulation_steps (--accumulation), with a smaller "
                "max_seq_length, or on 'cpu'."
            ) from error

    def _packs(self, texts: Sequence[Sequence[Text]], of_examples: bool) -> list[Pack]:
        """Tokenise columns of texts and pack them; text c * B + e is column c of example e."""
        transformer = self.model.transformer
        all_texts = [text for column in texts for text in column]
        limit = transformer.limit()
        rows = transformer.text_tokenizer.rows(all_texts, limit)
        if rows.truncation and not self._has_told:
            on_long = self.model.on_long  # training makes no windows
            rows.truncation.report(
                len(all_texts), limit, "warn" if on_long == "window" else on_long
            )
            self._has_told = True
        types = transformer.checked_types(rows.ids, rows.types)
        positions = [positions_of(row, self.config) for row in rows.ids]
        tokens = self._pack_tokens
        if of_examples:
            return packs_of_examples(rows.ids, positions, types, len(texts[0]), tokens)
        return list(packs(rows.ids, tokens, positions=positions, token_types=types))

    def _whole_examples(self, batch: Batch, number: int) -> float:
        """Compute a pack of whole examples forward and backward: -> its part of the loss."""
        pack = batch.packs[number]
        computed = self._forward(batch, number)
        examples = np.unique(pack.order % batch.examples)
        vectors = in_columns(computed.vectors(), pack.order, batch, examples)
        labels = None if batch.labels is None else batch.labels[examples]
        fraction = len(examples) / batch.examples
        loss, gradients = batch.loss(vectors, labels)
        rows = np.concatenate(gradients)[places_in(pack.order, batch, examples)]
        self._backward(batch, number, computed, rows * (fraction * batch.scale))
        return loss * fraction

    def _in_two_passes(self, batch: Batch, in_order: InOrder) -> float:
        """Compute all vectors, the loss by them, then each pack backward: -> the loss.

        Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup"
        (2021): memory does not grow with the batch. A pack whose arrays were not kept is computed
        again, with the same bits.
        """
        kept: dict[int, Computed] = {}
        free, lock = self._kept_bytes, threading.Lock()

        def vectors_of(number: int) -> Callable[[], Array]:
            nonlocal free
            computed = self._forward(batch, number)
            with lock:
                if computed.bytes() <= free:
                    free -= computed.bytes()
                    kept[number] = computed
            return computed.vectors

        numbers = range(len(batch.packs))
        order = np.concatenate([pack.order for pack in batch.packs])
        computed = list(in_order(vectors_of, numbers))  # none waits for a GPU before all began
        vectors = np.concatenate([finish() for finish in computed])
        examples = np.arange(batch.examples)
        loss, gradients = batch.loss(in_columns(vectors, order, batch, examples), batch.labels)
        rows = np.concatenate(gradients) * batch.scale

        def back(number: int) -> None:
            computed = kept.pop(number, None) or self._forward(batch, number)
            self._backward(batch, number, computed, rows[batch.packs[number].order])

        list(in_order(back, numbers))
        return loss

    def _forward(self, batch: Batch, number: int) -> Computed:
        """Compute the vectors of a pack, and keep what the backward pass needs."""
        pack, kept = batch.packs[number], dict[str, Array]()

        def keep(name: str, array: Array) -> None:
            place, _, what = name.rpartition(".")
            if what in backward.KEPT and (what != "output" or place == "embeddings"):
                kept[name] = array

        device = self._device
        with device.active(), np.errstate(over="ignore", invalid="ignore"):
            dropout, here = self._dropout(batch, pack), pack_to_device(pack, device)
            hidden = forward.hidden_states(
                here, self.parameters, self.config, device.kernels, ForGradients(keep, dropout)
            )
            vectors, modules = self.pipeline.forward(hidden, pack.lengths, device.kernels, dropout)
            return Computed(device.to_host_async(vectors), kept, modules)

    def _backward(self, batch: Batch, number: int, computed: Computed, gradient: Array) -> None:
        """Give the gradients of a pack, from those by its vectors, (S, D)."""
        pack, device, give = batch.packs[number], self._device, self._sums.of_pack(number)
        try:
            with device.active(), np.errstate(over="ignore", invalid="ignore"):
                dropout, here = self._dropout(batch, pack), device.to_device(gradient)
                gradient = self.pipeline.backward(
                    computed.modules, here, device.kernels, self._gradients, give
                )
                backward.hidden_states(
                    gradient, pack, self.parameters, self.config, device.kernels, self._gradients,
                    computed.kept, dropout, give,
                )  # fmt: skip
        except BaseException:
            self._sums.fail()  # no other pack waits for this one
            raise

    def _dropout(self, batch: Batch, pack: Pack) -> Dropout | None:
        """Return the dropout of a pack, whose rates may be 0; None without one."""
        if self._rates is None:
            return None
        dropout = Dropout(batch.draws, self._rates, pack.order, pack.lengths, dtype=self.dtype)
        return dropout.on(self._device.draw_kernels())

    def _zeros_of(self, name: str) -> Array:
        """Make zeros for the gradient of embeddings."""
        value = getattr(self.parameters, name)
        return update_kernels([value]).zeros_like(value)

    def _sum_name(self, name: str) -> str:
        """Return the name of a gradient's sum: that of the first use of a layer used again."""
        parts = name.split(".")
        if parts[0] != "layer":
            return name
        return f"layer.{self._first_use[int(parts[1])]}.{parts[2]}"

    def _uses(self, name: str) -> int:
        """Count the gradients that a pack gives for a sum."""
        parts = name.split(".")
        return self._first_use.count(int(parts[1])) if parts[0] == "layer" else 1


def check_trainable(model: HasTensors, does: str = "trains") -> None:
    """Raise ValueError for a dtype, or a family of models, whose tensors cannot be changed.

    `does` is what changes them, for the message: "trains" or "merges".
    """
    dtype = model.transformer.device.dtype
    if dtype != "float32":
        raise ValueError(
            f"dtype is {dtype!r}; minibert {does} in float32. Load the model with "
            'dtype="float32", or call its float().'
        )
    for module in (model.transformer, *model.folder.modules):
        if (kind := type(module).__name__) in NOT_TRAINED:
            raise ValueError(
                f"minibert {does} no {kind}. Take sentence-transformers for it, or another model."
            )
    if FAMILIES[model.config.model_type].forward is not forward.hidden_states:
        raise ValueError(
            f"model_type is {model.config.model_type!r}; minibert {does} models with BERT's "
            "forward pass, not yet those with rotary positions."
        )


def first_uses(names: list[str]) -> list[int]:
    """Return the first number of each layer's name: that of the layer, unless it is used again."""
    return [names.index(name) for name in names]


def places_in(order: IntArray, batch: Batch, examples: IntArray) -> IntArray:
    """Return the row of each text among the columns of some examples, end to end: (S,) -> (S,)."""
    columns, of_text = np.divmod(order, batch.examples)
    places: IntArray = columns * len(examples) + np.searchsorted(examples, of_text)
    return places


def in_columns(vectors: Array, order: IntArray, batch: Batch, examples: IntArray) -> list[Array]:
    """Sort the vectors of texts into columns of some examples: (S, D) -> several (B, D)."""
    rows = np.empty_like(vectors)
    rows[places_in(order, batch, examples)] = vectors
    return np.split(rows, batch.columns)

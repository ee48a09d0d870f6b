"""BERT under transformers' names: padded arrays in and out, packs and the forward pass between.

Only the rows' real tokens are packed and computed. Every output is 0 at padding.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from minibert.bert.families import FAMILIES, check_device, max_tokens, positions_of
from minibert.bert.finite import FirstNotFinite
from minibert.bert.forward import pooler_output
from minibert.bert.hook import Hook
from minibert.bert.load import load_checkpoint
from minibert.bert.packs import Pack, packs
from minibert.bert.parameters import Config, Parameters
from minibert.checkpoint.hub import find_model
from minibert.checkpoint.repository import HubOptions
from minibert.common.arguments import check_counts
from minibert.common.arrays import Array, IntArray, are_tensors
from minibert.errors import CheckpointError
from minibert.kernels.cores import available_threads, one_blas_thread
from minibert.kernels.devices import Device, find_device
from minibert.kernels.segments import split_rows
from minibert.models.foreign_arguments import meaning_of, missing_name
from minibert.models.model_config import ModelConfig
from minibert.models.model_output import BertOutput, Refused
from minibert.models.scheduler import Scheduler
from minibert.models.tensors import as_tensors

__all__ = ["BertModel", "BertOutput"]

# Settings of config.json, and arguments of a call, that say which outputs there are.
WANTED = {"output_attentions", "output_hidden_states", "return_dict"}

# Names of transformers' models -> what to do here.
INSTEAD = {
    "forward": "Call the model itself.",
    "named_parameters": "Read model.safetensors with safetensors.numpy.load_file().",
    "num_parameters": "Add the sizes of the arrays of safetensors.numpy.load_file().",
    "parameters": "Training is that of SentenceTransformer: fit() or `minibert train`.",
    "save_pretrained": "Open the folder by SentenceTransformer, and call its save_pretrained().",
    "state_dict": "Read model.safetensors with safetensors.numpy.load_file().",
}


class BertModel:
    """BERT under transformers' names: padded ids -> hidden states."""

    config: ModelConfig  # sizes and other settings of config.json

    def __init__(
        self,
        config: Config,
        parameters: Parameters,
        *,
        device: str | None = None,
        dtype: object = None,
        settings: Mapping[str, object] | None = None,
        has_pooler: bool = True,
    ) -> None:
        """Put the parameters on a device.

        `settings` is all of config.json, which may say what calls return that do not say it.
        `has_pooler` is False for a model whose pooler_output is None.
        """
        self._has_pooler = has_pooler and FAMILIES[config.model_type].has_pooler
        self._settings = dict(settings or {})
        self.config = ModelConfig(config, self._settings)
        self._host_parameters = parameters
        self._place(device, dtype)

    def _place(self, device: object, dtype: object) -> None:
        """Put the parameters on a device, in a dtype."""
        found = find_device(device, dtype)
        check_device(self.config, found.name)
        self._scheduler = Scheduler(
            self._host_parameters, self.config, found, threads=available_threads()
        )

    @classmethod
    def from_pretrained(
        cls,
        model_name_or_path: str | os.PathLike[str],
        *,
        device: str | None = None,
        dtype: object = None,
        revision: str | None = None,
        cache_dir: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        **model_kwargs: object,
    ) -> BertModel:
        """Load the weights of a folder or of a model of the hub; outputs are float32.

        `model_kwargs` are other arguments of transformers: output_hidden_states, output_attentions
        and return_dict say what calls return that do not say it. "torch_dtype" counts as `dtype`.
        With add_pooling_layer=False, pooler_output is None. Others are taken if they change nothing
        here.

        Raises as SentenceTransformer's constructor does.
        """
        wanted = {name: model_kwargs.pop(name) for name in WANTED & model_kwargs.keys()}
        has_pooler = bool(model_kwargs.pop("add_pooling_layer", True))
        meant = meaning_of(model_kwargs, caller="from_pretrained()")
        hub = HubOptions(revision, cache_dir, token, local_files_only)
        folder = find_model(model_name_or_path, hub)
        if not (folder / "config.json").exists():
            raise CheckpointError(f"{folder} has no config.json, so there is no BERT in it.")
        checkpoint = load_checkpoint(folder)
        return cls(
            checkpoint.config,
            checkpoint.parameters,
            device=device,
            dtype=meant.dtype if dtype in (None, "auto") else dtype,
            settings={**checkpoint.settings, **wanted},
            has_pooler=has_pooler,
        )

    def to(self, device: object) -> BertModel:
        """Move to a device: "cpu", "cuda" or "cuda:1", or torch's name of it. Returns itself."""
        if str(device) != self.device:
            self._place(device, self.dtype)
        return self

    def cpu(self) -> BertModel:
        """Move to the CPU. Returns itself."""
        return self.to("cpu")

    def cuda(self, device: int | None = None) -> BertModel:
        """Move to a GPU: the current one, or that of a number. Returns itself."""
        return self.to("cuda" if device is None else f"cuda:{device}")

    def eval(self) -> BertModel:
        """Do nothing: there is no dropout here. Returns itself."""
        return self

    def train(self, mode: bool = True) -> BertModel:
        """Do nothing, whatever the mode: there is no dropout here. Returns itself."""
        return self

    def __getattr__(self, name: str) -> Any:
        """Raise AttributeError, with advice for names of transformers."""
        raise missing_name("AutoModel", name, INSTEAD)

    @property
    def device(self) -> str:
        """Device where the model computes: "cpu", "cuda" or "cuda:1"."""
        return self._scheduler.device.name

    @property
    def dtype(self) -> str:
        """Type of the layers: "float32", or on a GPU "float16"."""
        return self._scheduler.device.dtype

    # fmt: off
    @overload
    def __call__(
        self, input_ids: ArrayLike, attention_mask: ArrayLike | None = ...,
        token_type_ids: ArrayLike | None = ..., *, return_dict: Literal[True] | None = ...,
        output_hidden_states: bool | None = ..., output_attentions: bool | None = ...,
        pack_tokens: int | None = ...,
    ) -> BertOutput: ...
    @overload
    def __call__(
        self, input_ids: ArrayLike, attention_mask: ArrayLike | None = ...,
        token_type_ids: ArrayLike | None = ..., *, return_dict: Literal[False],
        output_hidden_states: bool | None = ..., output_attentions: bool | None = ...,
        pack_tokens: int | None = ...,
    ) -> tuple[Array | tuple[Array, ...], ...]: ...
    # fmt: on
    def __call__(
        self,
        input_ids: ArrayLike,
        attention_mask: ArrayLike | None = None,
        token_type_ids: ArrayLike | None = None,
        *,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
        pack_tokens: int | None = None,
    ) -> Any:  # a BertOutput or its tuple: see the overloads
        """Run the model on B rows of T ids: (B, T) -> a BertOutput, or with return_dict=False its
        tuple.

        attention_mask is 1 at tokens and 0 at padding, on either side; without one, all are tokens.
        A token's position is its column, so padding on the left moves it, as in transformers.
        Given a tensor of torch, on the CPU, all outputs are tensors, too.
        Where a call leaves the last three open, config.json decides under their names, and where it
        is silent too, there are no hidden states, no attentions, and a BertOutput.

        Raises ValueError for shapes, ids or positions out of range, for a row without tokens, and
        in MPNet and ModernBERT, whose attention goes by distance, for padding between tokens; and
        for the tuple of a model with a pooler that the checkpoint lacks, or of rows that begin with
        padding. Raises CheckpointError for states that hold NaN or infinity.
        """
        check_counts(pack_tokens=pack_tokens)
        ids = whole_numbers("input_ids", input_ids, None, self.config.vocab_size)
        mask = whole_numbers("attention_mask", attention_mask, ids.shape, 2, default=1)
        types = whole_numbers(
            "token_type_ids", token_type_ids, ids.shape, self.config.type_vocab_size, default=0
        )
        self._check_rows(mask)
        self._check_gaps(mask)
        keeps_hidden = self._wants("output_hidden_states", output_hidden_states)
        keeps_attentions = self._wants("output_attentions", output_attentions)
        recorder = self._recorder(mask, keeps_hidden, keeps_attentions)
        self._compute(self._packs(ids, types, recorder.columns, pack_tokens), recorder)
        outputs: dict[str, Any] = {
            "last_hidden_state": recorder.last,
            "pooler_output": self._pooled(recorder.last, mask),
            # The last one after a last norm, if there is one: so has transformers.
            "hidden_states": (*recorder.hidden[:-1], recorder.last) if keeps_hidden else None,
            "attentions": tuple(recorder.attentions) if keeps_attentions else None,
            # Of a decoder, which minibert runs none of; transformers answers with none of them.
            "cross_attentions": () if keeps_attentions else None,
        }
        if are_tensors(input_ids, attention_mask, token_type_ids):
            outputs = as_tensors(outputs)
        fields = FAMILIES[self.config.model_type].outputs
        output = BertOutput(**{name: outputs.get(name) for name in fields})
        return output if self._wants("return_dict", return_dict, True) else output.to_tuple()

    def _recorder(self, mask: IntArray, keeps_hidden: bool, keeps_attentions: bool) -> Recorder:
        """Allocate the results of rows of tokens and padding."""
        parameters = self._scheduler.parameters
        return Recorder(
            mask,
            self.config,
            # Of ALBERT's layers some are several.
            len(parameters.layers),
            self._scheduler.device,
            keeps_hidden,
            keeps_attentions,
        )

    def _packs(
        self, ids: IntArray, types: IntArray, columns: list[IntArray], pack_tokens: int | None
    ) -> list[Pack]:
        """Pack the tokens of all rows: ids and types (B, T), the columns of each row's tokens."""
        rows = list(enumerate(columns))
        return list(
            packs(
                [ids[index, here] for index, here in rows],
                pack_tokens or self._scheduler.device.pack_tokens,
                positions=[positions_of(ids[index], self.config)[here] for index, here in rows],
                token_types=[types[index, here] for index, here in rows],
            )
        )

    def _compute(self, work: list[Pack], recorder: Recorder) -> None:
        """Compute packs, with a hook if intermediates are kept, and write their states to rows."""
        if not (recorder.hidden or recorder.attentions):
            for pack, (hidden,) in self._scheduler.run(work, states, is_all=True):
                recorder.unpack(pack, recorder.last, hidden)
            return
        for pack in work:
            recorder.pack = pack
            (hidden,) = self._scheduler.with_hook(pack, states, recorder)
            recorder.unpack(pack, recorder.last, self._scheduler.device.to_host(hidden))

    def _wants(self, name: str, asked: bool | None, default: bool = False) -> bool:
        """Return whether a call wants a part of the output: by its argument or by config.json."""
        written = self._settings.get(name)
        return bool(next((value for value in (asked, written) if value is not None), default))

    def _pooled(self, last: Array, mask: IntArray) -> Array | Refused | None:
        """Pool the first token of each row: -> (B, D), or why there is nothing to pool.

        None where transformers has no pooler.
        """
        if not self._has_pooler:
            return None
        weight, bias = self._host_parameters.pooler_weight, self._host_parameters.pooler_bias
        if weight is None or bias is None:
            return Refused(
                f"{self._host_parameters.no_pooler} So there is no pooler_output; take "
                "last_hidden_state."
            )
        masked = np.flatnonzero(mask[:, 0] == 0)
        if len(masked):
            return Refused(
                f"Row {masked[0]} begins with padding, and the pooler reads the first column. "
                "Pad on the right."
            )
        with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
            found = pooler_output(last[:, 0], self._host_parameters, find_device("cpu").kernels)
        first = FirstNotFinite(lambda array: array)
        first("the pooler", found)
        return Refused(str(first.error("This model"))) if first.step else found

    def _check_rows(self, mask: IntArray) -> None:
        """Raise ValueError for more columns than positions, and for a row without a token."""
        positions = max_tokens(self.config)
        if mask.shape[1] > positions:
            raise ValueError(
                f"The rows have {mask.shape[1]} columns; the model has {positions} positions. "
                "Tokenise with truncation=True."
            )
        empty = np.flatnonzero(mask.sum(axis=1) == 0)
        if len(empty):
            raise ValueError(f"Row {empty[0]} of attention_mask is all 0: it has no token.")

    def _check_gaps(self, mask: IntArray) -> None:
        """Raise ValueError for padding between tokens where attention goes by their distance.

        Tokens are packed, which would bring the two sides nearer to each other.
        """
        if self._host_parameters.attention_bias is None and not self.config.local_layers:
            return
        ends = np.abs(np.diff(mask, axis=1, prepend=0, append=0)).sum(axis=1)  # 2 a stretch
        if len(gaps := np.flatnonzero(ends > 2)):
            raise ValueError(
                f"Row {gaps[0]} of attention_mask has a 0 between tokens; {self.config.model_type} "
                "attends by distance, so minibert takes padding at the ends alone."
            )


def states(pack: Pack, hidden: Array, hook: Hook | None) -> tuple[Array]:
    """Return the hidden states, as the head of a model that has none: (N, D) -> (N, D)."""
    return (hidden,)


def whole_numbers(
    name: str,
    values: ArrayLike | None,
    shape: tuple[int, ...] | None,
    end: int,
    default: int | None = None,
) -> IntArray:
    """An argument of BertModel as a matrix of whole numbers from 0 to end - 1, or ValueError."""
    if values is None and shape is not None and default is not None:
        return np.full(shape, default, dtype=np.int64)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{name} has rows of different lengths; tokenise with padding=True."
        ) from error
    if array.dtype.kind not in "iub" or array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{name} has the shape {array.shape} and the type {array.dtype}; "
            "expected whole numbers of the shape (rows, tokens)."
        )
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} has the shape {array.shape}; input_ids has {shape}.")
    if array.min() < 0 or array.max() >= end:
        raise ValueError(
            f"{name} has values from {array.min()} to {array.max()}; expected 0 to {end - 1}."
        )
    return array.astype(np.int64, copy=False)


class Recorder:
    """A hook of the forward pass that writes the arrays of packs to padded rows."""

    def __init__(
        self,
        mask: IntArray,
        config: Config,
        layers: int,
        device: Device,
        keep_hidden: bool,
        keep_attentions: bool,
    ) -> None:
        rows, columns = mask.shape
        hidden = rows, columns, config.hidden_size
        square = (rows, config.num_attention_heads, columns, columns)
        self.pack: Pack  # whose arrays the hook gets
        self.last = np.zeros(hidden, dtype=np.float32)
        self.hidden = [np.zeros_like(self.last) for _ in range(keep_hidden * (layers + 1))]
        self.attentions = [
            np.zeros(square, dtype=np.float32) for _ in range(keep_attentions * layers)
        ]
        # Where each row has its tokens.
        self.columns: list[IntArray] = [np.flatnonzero(row) for row in mask]
        self._to_host = device.to_host
        self._seen = 0  # texts of the pack whose attention of this layer is written

    def __call__(self, name: str, array: Array) -> None:
        """Keep one array, by the name that the forward pass gives it."""
        part, _, step = name.rpartition(".")  # of "embeddings.output", "layer.0.attention"
        if not part:
            return  # of a step after the layers
        layer = int(part.removeprefix("layer.")) if part != "embeddings" else -1
        if step == "attention" and self.attentions:
            self.unpack_attention(self.attentions[layer], self._to_host(array))
        elif step == "output" and self.hidden:
            self.unpack(self.pack, self.hidden[layer + 1], self._to_host(array))

    def unpack(self, pack: Pack, rows: Array, hidden: Array) -> None:
        """Write the states of a pack's tokens, (N, D), to their places in (B, T, D)."""
        for row, of_row in zip(pack.order, split_rows(hidden, pack.lengths), strict=True):
            rows[row, self.columns[row]] = of_row

    def unpack_attention(self, rows: Array, weights: Array) -> None:
        """Write the weights of the next texts, (S, H, T, T), to their places in (B, H, T, T)."""
        for text in weights:
            row = self.pack.order[self._seen]
            columns = self.columns[row]
            rows[row][:, columns[:, None], columns] = text
            self._seen = (self._seen + 1) % len(self.pack.order)

"""The transformers-shaped view: padded arrays in and out, the same packs and forward pass between.

Only the rows' real tokens are packed and computed. What stands at padding is 0 in every output.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minibert.arrays import Array, IntArray, Kernels
from minibert.bert import Config, Parameters, hidden_states, pooler_output
from minibert.checkpoint import load_checkpoint, read_config
from minibert.devices import Device, find_device
from minibert.errors import CheckpointError
from minibert.folder import read_json
from minibert.hub import find_model
from minibert.packing import Pack, packs
from minibert.tokens import TextTokenizer, check_texts
from minibert.vocabulary import load_tokenizer

__all__ = ["BertModel", "BertOutput", "Tokenizer"]


class Tokenizer:
    """Texts -> padded ids, under transformers' names."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self.model_max_length = tokenizer.max_length
        self.padding_side = tokenizer.padding_side

    @classmethod
    def from_pretrained(
        cls,
        model_name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> Tokenizer:
        """Load the tokenizer of a folder or of a model of the hub.

        Raises as SentenceTransformer's constructor does.
        """
        folder = find_model(
            model_name_or_path,
            revision=revision,
            cache_folder=cache_dir,
            token=token,
            local_files_only=local_files_only,
        )
        config = read_config(read_json(folder / "config.json", dict), folder / "config.json")
        return cls(
            load_tokenizer(
                folder,
                vocab_size=config.vocab_size,
                max_position_embeddings=config.max_position_embeddings,
            )
        )

    def __call__(
        self,
        text: str | Sequence[str],
        *,
        padding: bool | str = False,
        truncation: bool = False,
        max_length: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
    ) -> dict[str, Any]:
        """Tokenise S texts: -> input_ids, token_type_ids and attention_mask, each (S, T) int64.

        padding is True or "longest" for the longest text's length, "max_length" for max_length,
        False for none, which then needs texts of one length. truncation=True cuts at max_length,
        by default the model's. return_tensors="np" gives arrays, None lists.

        Raises TypeError or ValueError for what is no text, and for any other value.
        """
        if return_tensors not in (None, "np"):
            raise ValueError(
                f'return_tensors is {return_tensors!r}; minibert makes NumPy arrays: pass "np".'
            )
        if padding not in (True, False, "longest", "max_length", "do_not_pad"):
            raise ValueError(f'padding is {padding!r}; expected True, False or "max_length".')
        side = padding_side or self.padding_side
        if side not in ("left", "right"):
            raise ValueError(f'padding_side is {side!r}; expected "left" or "right".')
        texts = [text] if isinstance(text, str) else list(text)
        check_texts(texts)
        longest = max_length or self.model_max_length
        rows, _ = self._tokenizer.ids(texts, longest if truncation else None)
        width = max(map(len, rows), default=0)
        if padding == "max_length":
            width = max(width, longest)
        elif padding in (False, "do_not_pad") and any(len(row) != width for row in rows):
            if return_tensors == "np":
                raise ValueError("The texts have different lengths; pass padding=True.")
            return {
                "input_ids": [row.tolist() for row in rows],
                "token_type_ids": [[0] * len(row) for row in rows],
                "attention_mask": [[1] * len(row) for row in rows],
            }
        ids = np.full((len(rows), width), self._tokenizer.pad_id, dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for index, row in enumerate(rows):
            here = slice(width - len(row), None) if side == "left" else slice(len(row))
            ids[index, here], mask[index, here] = row, 1
        arrays = {"input_ids": ids, "token_type_ids": np.zeros_like(ids), "attention_mask": mask}
        if return_tensors == "np":
            return arrays
        single = isinstance(text, str)
        return {name: a[0].tolist() if single else a.tolist() for name, a in arrays.items()}


@dataclass(frozen=True)
class BertOutput:
    """What BertModel returns, for B rows of T tokens; 0 wherever the mask is."""

    last_hidden_state: Array  # (B, T, D)
    hidden_states: tuple[Array, ...] | None  # L + 1 of (B, T, D): the embeddings, each layer
    attentions: tuple[Array, ...] | None  # L of (B, H, T, T), a row of weights for each token
    attention_mask: IntArray  # (B, T)
    parameters: Parameters
    kernels: Kernels

    @property
    def pooler_output(self) -> Array:
        """The pooler's view of each row's first token: (B, D).

        Raises ValueError where the checkpoint has no pooler, and for rows whose first token is
        padding: transformers would pool that padding.
        """
        masked = np.flatnonzero(self.attention_mask[:, 0] == 0)
        if len(masked):
            raise ValueError(
                f"Row {masked[0]} begins with padding, and the pooler reads the first column. "
                "Pad on the right."
            )
        return pooler_output(self.last_hidden_state[:, 0], self.parameters, self.kernels)

    def __getitem__(self, index: int) -> Array:
        """output[0] is last_hidden_state, output[1] is pooler_output, as in transformers."""
        return (lambda: self.last_hidden_state, lambda: self.pooler_output)[index]()


class BertModel:
    """BERT under transformers' names: padded ids -> hidden states."""

    def __init__(self, config: Config, parameters: Parameters, device: str | None = None) -> None:
        self.config = config
        self._device = find_device(device)
        self._parameters = self._device.put_parameters(parameters)
        self._host_parameters = parameters

    @classmethod
    def from_pretrained(
        cls,
        model_name_or_path: str | os.PathLike[str],
        *,
        device: str | None = None,
        revision: str | None = None,
        cache_dir: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> BertModel:
        """Load the weights of a folder or of a model of the hub.

        Raises as SentenceTransformer's constructor does.
        """
        folder = find_model(
            model_name_or_path,
            revision=revision,
            cache_folder=cache_dir,
            token=token,
            local_files_only=local_files_only,
        )
        if not (folder / "config.json").exists():
            raise CheckpointError(f"{folder} has no config.json, so there is no BERT in it.")
        checkpoint = load_checkpoint(folder)
        return cls(checkpoint.config, checkpoint.parameters, device)

    def __call__(
        self,
        input_ids: ArrayLike,
        attention_mask: ArrayLike | None = None,
        token_type_ids: ArrayLike | None = None,
        *,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
        return_dict: bool = True,
        pack_tokens: int = 1024,
    ) -> BertOutput:
        """Run the model on B rows of T ids: (B, T) -> a BertOutput.

        attention_mask is 1 at tokens and 0 at padding, on either side; without one, all are tokens.
        A token's position is its column, so padding on the left moves it, as in transformers.

        Raises ValueError for shapes, ids or positions out of range and for a row without tokens.
        """
        if not return_dict:
            raise ValueError("return_dict=False is not supported; take output.last_hidden_state.")
        ids = whole_numbers("input_ids", input_ids, None, self.config.vocab_size)
        mask = whole_numbers("attention_mask", attention_mask, ids.shape, 2, default=1)
        types = whole_numbers(
            "token_type_ids", token_type_ids, ids.shape, self.config.type_vocab_size, default=0
        )
        self._check_rows(mask)
        columns = [np.flatnonzero(row) for row in mask]  # where each row has its tokens
        rows = list(enumerate(columns))
        watched = output_hidden_states or output_attentions
        recorder = Recorder(
            ids.shape, columns, self.config, self._device, output_hidden_states, output_attentions
        )
        for pack in packs(
            [ids[index, here] for index, here in rows],
            pack_tokens,
            positions=columns,
            token_types=[types[index, here] for index, here in rows],
        ):
            recorder.pack = pack
            with self._device.active():
                hidden = hidden_states(
                    self._device.put_pack(pack),
                    self._parameters,
                    self.config,
                    self._device.kernels,
                    watch=recorder if watched else None,
                )
            recorder.unpack(recorder.last, self._device.take(hidden))
        return BertOutput(
            last_hidden_state=recorder.last,
            hidden_states=tuple(recorder.hidden) if output_hidden_states else None,
            attentions=tuple(recorder.attentions) if output_attentions else None,
            attention_mask=mask,
            parameters=self._host_parameters,
            kernels=find_device("cpu").kernels,
        )

    def _check_rows(self, mask: IntArray) -> None:
        """Raise ValueError for more columns than positions, and for a row without a token."""
        positions = self.config.max_position_embeddings
        if mask.shape[1] > positions:
            raise ValueError(
                f"The rows have {mask.shape[1]} columns; the model has {positions} positions. "
                "Tokenise with truncation=True."
            )
        empty = np.flatnonzero(mask.sum(axis=1) == 0)
        if len(empty):
            raise ValueError(f"Row {empty[0]} of attention_mask is all 0: it has no token.")


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
    array = np.asarray(values)
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
    """An observer of the forward pass that lays what it is shown out in rows again."""

    def __init__(
        self,
        shape: tuple[int, ...],
        columns: Sequence[IntArray],
        config: Config,
        device: Device,
        keep_hidden: bool,
        keep_attentions: bool,
    ) -> None:
        rows, width = shape
        layers, hidden = config.num_hidden_layers, (rows, width, config.hidden_size)
        square = (rows, config.num_attention_heads, width, width)
        self.pack: Pack
        self.last = np.zeros(hidden, dtype=np.float32)
        self.hidden = [np.zeros_like(self.last) for _ in range(keep_hidden * (layers + 1))]
        self.attentions = [
            np.zeros(square, dtype=np.float32) for _ in range(keep_attentions * layers)
        ]
        self._columns = columns
        self._take = device.take
        self._seen = 0  # texts of the pack whose attention this layer has shown already

    def __call__(self, name: str, array: Array) -> None:
        """Keep one array, under the name by which the forward pass shows it."""
        _, _, step = name.partition(".")
        layer, _, what = step.partition(".")
        if what == "attention":
            if self.attentions:
                self.unpack_attention(self.attentions[int(layer)], self._take(array))
        elif self.hidden:
            self.unpack(self.hidden[int(layer) + 1 if layer else 0], self._take(array))

    def unpack(self, rows: Array, hidden: Array) -> None:
        """Write the states of the pack's tokens, (N, D), to their places in (B, T, D)."""
        ends = np.cumsum(self.pack.lengths)[:-1]
        for row, states in zip(self.pack.order, np.split(hidden, ends), strict=True):
            rows[row, self._columns[row]] = states

    def unpack_attention(self, rows: Array, weights: Array) -> None:
        """Write the weights of the next texts, (S, H, T, T), to their places in (B, H, T, T)."""
        for text in weights:
            row = self.pack.order[self._seen]
            columns = self._columns[row]
            rows[row][:, columns[:, None], columns] = text
            self._seen = (self._seen + 1) % len(self.pack.order)

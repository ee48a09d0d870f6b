"""The transformers-shaped view: padded arrays in and out, the same packs and forward pass between.

Only the rows' real tokens are packed and computed. What stands at padding is 0 in every output.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from minibert.bert.families import FAMILIES, check_device, most_tokens, positions_of
from minibert.bert.finite import OTHER_ORDER, FirstNotFinite
from minibert.bert.forward import pooler_output
from minibert.bert.hook import Watch
from minibert.bert.load import load_checkpoint, read_config
from minibert.bert.packs import Pack, packs
from minibert.bert.parameters import Config, Parameters
from minibert.bert.placement import put_pack, put_parameters
from minibert.bert.tensor_parallel import Shares
from minibert.checkpoint.hub import find_model
from minibert.common.arguments import check_counts
from minibert.common.arrays import Array, IntArray
from minibert.common.json_files import read_json
from minibert.common.safetensors_files import is_finite
from minibert.errors import CheckpointError
from minibert.kernels.cores import available_threads, one_blas_thread
from minibert.kernels.devices import Device, find_device
from minibert.models.model_output import BertOutput, Refused
from minibert.tokens.classes import SPECIAL_NAMES
from minibert.tokens.load import load_tokenizer
from minibert.tokens.padding import pad_rows
from minibert.tokens.special_tokens import encodings_of
from minibert.tokens.texts import Text, check_texts, listed, no_list, single_texts
from minibert.tokens.tokenizer import TextTokenizer

__all__ = ["BertModel", "BertOutput", "Tokenizer"]


class Tokenizer:
    """Texts -> padded ids, and pieces and ids into each other, under transformers' names.

    `cls_token`, `cls_token_id` and so on are there for every special token of the folder.
    """

    def __init__(self, words: TextTokenizer) -> None:
        self._words = words

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
                most_tokens=most_tokens(config),
                default_class=FAMILIES[config.model_type].tokenizer,
                names_class=FAMILIES[config.model_type].names_tokenizer,
            )
        )

    def __call__(
        self,
        text: str | Sequence[Any],
        text_pair: str | Sequence[str] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str = False,
        max_length: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
    ) -> dict[str, Any]:
        """Tokenise S texts, or pairs: -> input_ids, token_type_ids, attention_mask, (S, T) int64.

        padding is True or "longest" for the longest text's length, "max_length" for max_length,
        False for none, which then needs texts of one length. truncation=True or "longest_first"
        cuts at max_length, by default the model's. return_tensors="np" gives arrays, None lists.

        Raises TypeError or ValueError for what is no text, and for any other value.
        """
        check_counts(max_length=max_length)
        if return_tensors not in (None, "np"):
            raise ValueError(
                f'return_tensors is {return_tensors!r}; minibert makes NumPy arrays: pass "np".'
            )
        if padding not in (True, False, "longest", "max_length", "do_not_pad"):
            raise ValueError(f'padding is {padding!r}; expected True, False or "max_length".')
        if truncation not in (True, False, "longest_first", "do_not_truncate"):
            raise ValueError(f"truncation is {truncation!r}; expected True or False.")
        side = padding_side or self.padding_side
        if side not in ("left", "right"):
            raise ValueError(f'padding_side is {side!r}; expected "left" or "right".')
        single = isinstance(text, str)
        texts = check_texts([text] if single else listed(text, "The tokenizer"))
        if text_pair is not None:
            seconds = [text_pair] if isinstance(text_pair, str) else listed(text_pair, "text_pair")
            texts = paired(texts, seconds)
        longest = max_length or self.model_max_length
        cuts = truncation in (True, "longest_first")
        rows = self._words.rows(texts, longest if cuts else None, special=add_special_tokens)
        ragged = len({len(row) for row in rows.ids}) > 1
        if padding in (False, "do_not_pad") and ragged:
            if return_tensors == "np":
                raise ValueError("The texts have different lengths; pass padding=True.")
            # Each by itself needs no padding.
            alone = [
                pad_rows(rows._replace(ids=[ids], types=types and [types[n]]), self._words)
                for types in [rows.types]
                for n, ids in enumerate(rows.ids)
            ]
            return {name: [array[name][0].tolist() for array in alone] for name in alone[0]}
        width = longest if padding == "max_length" else 0
        arrays = pad_rows(rows, self._words, width, side)
        if return_tensors == "np":
            return arrays
        return {name: a[0].tolist() if single else a.tolist() for name, a in arrays.items()}

    def encode(self, text: str, text_pair: str | None = None, **arguments: Any) -> list[int]:
        """The ids of one text, or of a pair; the arguments are those of a call."""
        ids: list[int] = self(text, text_pair, **arguments)["input_ids"]
        return ids

    def tokenize(self, text: str) -> list[str]:
        """The pieces of a text, without special tokens."""
        if not isinstance(text, str):
            raise no_list(text, "tokenize()", "a str")
        (encoding,) = encodings_of(
            self._words.backend.encode_batch, single_texts(text, "tokenize()")
        )
        return list(encoding.tokens)

    def decode(self, token_ids: ArrayLike, skip_special_tokens: bool = False) -> str:
        """The text of some ids, as near as pieces tell it."""
        ids = list_of_ids(token_ids)
        return self._words.backend.decode(ids, skip_special_tokens=skip_special_tokens)

    def convert_ids_to_tokens(self, ids: Any) -> Any:
        """The piece of an id, or a list for a list; None where an id has no piece."""
        pieces = [self._words.backend.id_to_token(id) for id in list_of_ids(ids)]
        return pieces[0] if isinstance(ids, int | np.integer) else pieces

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> Any:
        """The id of a piece, or a list for a list; the unknown word's where there is none."""
        backend, ids = self._words.backend, []
        for token in single_texts(tokens, "convert_tokens_to_ids()"):
            id = backend.token_to_id(token)
            unknown = self._words.special_tokens.get("unk_token", "")
            ids.append(backend.token_to_id(unknown) if id is None else id)
        return ids[0] if isinstance(tokens, str) else ids

    def get_vocab(self) -> dict[str, int]:
        """Every piece with its id, added ones among them."""
        return self._words.backend.get_vocab(with_added_tokens=True)

    @property
    def vocab_size(self) -> int:
        """How many pieces there are, without added ones."""
        return self._words.backend.get_vocab_size(with_added_tokens=False)

    def __len__(self) -> int:
        return self._words.backend.get_vocab_size(with_added_tokens=True)

    @property
    def model_max_length(self) -> int:
        """The most tokens of a text, special ones among them."""
        return self._words.max_length

    @property
    def padding_side(self) -> str:
        """Where padding stands: "left" or "right"."""
        return self._words.padding_side

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of the special tokens."""
        return list(self._words.special_ids)

    def __getattr__(self, name: str) -> Any:
        """cls_token, cls_token_id and so on; None for a special token that the folder lacks."""
        token = name.removesuffix("_id")
        if not token.endswith("_token") or token not in SPECIAL_NAMES:
            raise AttributeError(f"Tokenizer has no attribute {name!r}")
        text = self._words.special_tokens.get(token)
        return self.convert_tokens_to_ids(text) if name.endswith("_id") and text else text


def list_of_ids(given: Any) -> list[int]:
    """An id, or several in a list or an array, as a list; ValueError for what are none."""
    is_list = isinstance(given, Iterable) and not isinstance(given, str)
    ids = np.atleast_1d(given) if isinstance(given, np.ndarray) else given if is_list else [given]
    ids = list(ids)
    # The library counts in 32 bits.
    if not all(isinstance(id, int | np.integer) and 0 <= id < 1 << 32 for id in ids):
        raise ValueError(
            f"The ids are {given!r:.80}; expected whole numbers from 0 up, an id or a list of them."
        )
    return [int(id) for id in ids]


def paired(texts: Sequence[Text], seconds: Sequence[Any]) -> list[Text]:
    """Texts with their second ones."""
    if len(texts) != len(seconds) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"There are {len(texts)} texts and {len(seconds)} second ones.")
    pairs: list[Any] = list(zip(texts, check_texts(seconds), strict=True))
    return pairs


class BertModel:
    """BERT under transformers' names: padded ids -> hidden states."""

    def __init__(
        self,
        config: Config,
        parameters: Parameters,
        device: str | None = None,
        dtype: object = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Put the parameters on a device.

        `settings` is all of config.json, which may say what calls return that do not say it.
        """
        self.config = config
        self._settings = dict(settings or {})
        self._device = find_device(device, dtype)
        check_device(config, self._device.name)
        self._parameters = put_parameters(parameters, self._device)
        self._host_parameters = parameters
        self._shares = Shares(self._parameters, config)

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
    ) -> BertModel:
        """Load the weights of a folder or of a model of the hub; what is returned is float32.

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
        return cls(checkpoint.config, checkpoint.parameters, device, dtype, checkpoint.settings)

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
    ) -> Any:
        """Run the model on B rows of T ids: (B, T) -> a BertOutput, or with return_dict=False its
        tuple.

        attention_mask is 1 at tokens and 0 at padding, on either side; without one, all are tokens.
        A token's position is its column, so padding on the left moves it, as in transformers.
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
        columns = [np.flatnonzero(row) for row in mask]  # where each row has its tokens
        rows = list(enumerate(columns))
        keeps_hidden = self._wants("output_hidden_states", output_hidden_states)
        keeps_attentions = self._wants("output_attentions", output_attentions)
        watched = keeps_hidden or keeps_attentions
        # Of ALBERT's layers some are several.
        layers = len(self._parameters.layers)
        recorder = Recorder(
            ids.shape, columns, self.config, layers, self._device,
            keeps_hidden, keeps_attentions,
        )  # fmt: skip
        work = list(
            packs(
                [ids[index, here] for index, here in rows],
                pack_tokens or self._device.pack_tokens,
                positions=[positions_of(ids[index], self.config)[here] for index, here in rows],
                token_types=[types[index, here] for index, here in rows],
            )
        )
        with one_blas_thread():
            for pack in work:
                recorder.pack = pack
                with self._device.active(), np.errstate(over="ignore", invalid="ignore"):
                    watch = recorder if watched else None
                    hidden = self._hidden_states(pack, watch, alone=len(work) == 1)
                recorder.unpack(recorder.last, self._device.take(hidden))
        if not is_finite(recorder.last):
            self._name_not_finite(work)
        outputs: dict[str, Any] = {
            "last_hidden_state": recorder.last,
            "pooler_output": self._pooled(recorder.last, mask),
            # The last one after a last norm, if there is one: so has transformers.
            "hidden_states": (*recorder.hidden[:-1], recorder.last) if keeps_hidden else None,
            "attentions": tuple(recorder.attentions) if keeps_attentions else None,
            # Of a decoder, which minibert runs none of; transformers answers with none of them.
            "cross_attentions": () if keeps_attentions else None,
        }
        fields = FAMILIES[self.config.model_type].outputs
        output = BertOutput(**{name: outputs.get(name) for name in fields})
        return output if self._wants("return_dict", return_dict, True) else output.to_tuple()

    def _wants(self, name: str, asked: bool | None, default: bool = False) -> bool:
        """Whether a call wants a part of the output: as it says, else as config.json says."""
        written = self._settings.get(name)
        return bool(next((value for value in (asked, written) if value is not None), default))

    def _name_not_finite(self, work: list[Pack]) -> NoReturn:
        """Raise CheckpointError, with the first step of these packs that made NaN or infinity."""
        first = FirstNotFinite(self._device.take)
        for pack in work:
            if not first.step:
                with (
                    one_blas_thread(),
                    self._device.active(),
                    np.errstate(over="ignore", invalid="ignore"),
                ):
                    self._hidden_states(pack, first, alone=False)
        first.step = first.step or OTHER_ORDER
        raise first.error("This model", self._device.dtype)

    def _pooled(self, last: Array, mask: IntArray) -> Array | Refused | None:
        """Pool the first token of each row: -> (B, D), or why there is nothing to pool.

        None where transformers has no pooler.
        """
        if not FAMILIES[self.config.model_type].has_pooler:
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

    def _hidden_states(self, pack: Pack, watch: Watch | None, alone: bool) -> Array:
        """The states of a pack, (N, D): of all at once where somebody watches or there is a GPU.

        Only a pack that comes `alone` is worth tiles, a second copy of the weights.
        """
        kernels, pack = self._device.kernels, put_pack(pack, self._device)
        if watch or self._device.name != "cpu":
            return FAMILIES[self.config.model_type].forward(
                pack, self._parameters, self.config, kernels, watch=watch
            )
        return self._shares.compute(pack, kernels, None, available_threads(), alone)

    def _check_rows(self, mask: IntArray) -> None:
        """Raise ValueError for more columns than positions, and for a row without a token."""
        positions = most_tokens(self.config)
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
        if self._parameters.relative_bias is None and not self.config.local_layers:
            return
        ends = np.abs(np.diff(mask, axis=1, prepend=0, append=0)).sum(axis=1)  # 2 a stretch
        if len(gaps := np.flatnonzero(ends > 2)):
            raise ValueError(
                f"Row {gaps[0]} of attention_mask has a 0 between tokens; {self.config.model_type} "
                "attends by distance, so minibert takes padding at the ends alone."
            )


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
    """An observer of the forward pass that lays what it is shown out in rows again."""

    def __init__(
        self,
        shape: tuple[int, ...],
        columns: Sequence[IntArray],
        config: Config,
        layers: int,
        device: Device,
        keep_hidden: bool,
        keep_attentions: bool,
    ) -> None:
        rows, width = shape
        hidden = rows, width, config.hidden_size
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
        part, _, step = name.rpartition(".")  # of "embeddings.output", "layer.0.attention"
        layer = int(part.removeprefix("layer.")) if part != "embeddings" else -1
        if step == "attention" and self.attentions:
            self.unpack_attention(self.attentions[layer], self._take(array))
        elif step == "output" and self.hidden:
            self.unpack(self.hidden[layer + 1], self._take(array))

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

"""Tokenizer under transformers' names: texts -> padded ids, tokens <-> ids.

No model here, and no tokenization of its own: that is in `tokens/`. Start at Tokenizer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike

from minibert.bert.families import FAMILIES, max_tokens
from minibert.bert.load import read_config
from minibert.checkpoint.hub import find_model
from minibert.checkpoint.repository import HubOptions
from minibert.common.arguments import check_counts
from minibert.common.arrays import IntArray
from minibert.common.json_files import read_json
from minibert.tokens.classes import SPECIAL_NAMES
from minibert.tokens.load import load_tokenizer
from minibert.tokens.padding import pad_rows
from minibert.tokens.special_tokens import encodings_of
from minibert.tokens.texts import Text, check_texts, listed, no_list, single_texts
from minibert.tokens.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from minibert.models.signatures import TokenArrays

__all__ = ["Tokenizer"]


class TokenizerOptions(TypedDict, total=False):
    """Arguments of a call that change no type of its result."""

    add_special_tokens: bool
    padding: bool | str
    truncation: bool | str
    max_length: int | None
    padding_side: str | None


class Tokenizer:
    """Texts -> padded ids, and tokens <-> ids, under transformers' names.

    `cls_token`, `cls_token_id` and so on are there for every special token of the folder.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer

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
        hub = HubOptions(revision, cache_dir, token, local_files_only)
        folder = find_model(model_name_or_path, hub)
        config = read_config(read_json(folder / "config.json", dict), folder / "config.json")
        return cls(
            load_tokenizer(
                folder,
                vocab_size=config.vocab_size,
                max_tokens=max_tokens(config),
                default_class=FAMILIES[config.model_type].tokenizer,
                names_class=FAMILIES[config.model_type].names_tokenizer,
            )
        )

    # fmt: off
    @overload
    def __call__(
        self, text: str | Sequence[str | Sequence[str]],
        text_pair: str | Sequence[str] | None = ..., *, return_tensors: Literal["np"],
        **options: Unpack[TokenizerOptions],
    ) -> TokenArrays: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a list of str to a checker, too
        self, text: str, text_pair: str | None = ...,
        *, return_tensors: None = ..., **options: Unpack[TokenizerOptions],
    ) -> dict[str, list[int]]: ...
    @overload
    def __call__(
        self, text: Sequence[str | Sequence[str]], text_pair: str | Sequence[str] | None = ...,
        *, return_tensors: None = ..., **options: Unpack[TokenizerOptions],
    ) -> dict[str, list[list[int]]]: ...
    # fmt: on
    def __call__(
        self,
        text: str | Sequence[str | Sequence[str]],
        text_pair: str | Sequence[str] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str = False,
        max_length: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
    ) -> Any:  # arrays or lists: see the overloads
        """Tokenise S texts, or pairs: -> input_ids, token_type_ids, attention_mask, (S, T) int64.

        padding is True or "longest" for the longest text's length, "max_length" for max_length,
        False for none, which then needs texts of one length. truncation=True or "longest_first"
        truncates at max_length, by default the model's. return_tensors="np" gives arrays, None
        lists.

        Raises TypeError or ValueError for an input that is no text, and for any other value.
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
        truncates = truncation in (True, "longest_first")
        rows = self._tokenizer.rows(
            texts, longest if truncates else None, special=add_special_tokens
        )
        ragged = len({len(row) for row in rows.ids}) > 1
        if padding in (False, "do_not_pad") and ragged:
            if return_tensors == "np":
                raise ValueError("The texts have different lengths; pass padding=True.")
            # Each by itself needs no padding.
            alone = [
                pad_rows(rows._replace(ids=[ids], types=types and [types[n]]), self._tokenizer)
                for types in [rows.types]
                for n, ids in enumerate(rows.ids)
            ]
            return {name: [array[name][0].tolist() for array in alone] for name in alone[0]}
        padded_length = longest if padding == "max_length" else 0
        arrays = pad_rows(rows, self._tokenizer, padded_length, side)
        if return_tensors == "np":
            return arrays
        return {name: a[0].tolist() if single else a.tolist() for name, a in arrays.items()}

    def encode(
        self, text: str, text_pair: str | None = None, **options: Unpack[TokenizerOptions]
    ) -> list[int]:
        """Return the ids of one text, or of a pair; the arguments are those of a call."""
        return self(text, text_pair, **options)["input_ids"]

    def tokenize(self, text: str) -> list[str]:
        """Tokens of a text, without special tokens."""
        if not isinstance(text, str):
            raise no_list(text, "tokenize()", "a str")
        (encoding,) = encodings_of(
            self._tokenizer.backend.encode_batch, single_texts(text, "tokenize()")
        )
        return list(encoding.tokens)

    def decode(self, token_ids: ArrayLike, skip_special_tokens: bool = False) -> str:
        """Text of some ids; its spaces and letter case may differ from the text before."""
        ids = list_of_ids(token_ids)
        return self._tokenizer.backend.decode(ids, skip_special_tokens=skip_special_tokens)

    @overload
    def convert_ids_to_tokens(self, ids: int) -> str | None: ...
    @overload
    def convert_ids_to_tokens(self, ids: Iterable[int] | IntArray) -> list[str | None]: ...
    def convert_ids_to_tokens(
        self, ids: int | Iterable[int] | IntArray
    ) -> str | list[str | None] | None:
        """Token of an id, or a list for a list; None where an id has no token."""
        tokens = [self._tokenizer.backend.id_to_token(id) for id in list_of_ids(ids)]
        return tokens[0] if isinstance(ids, int | np.integer) else tokens

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int: ...  # type: ignore[overload-overlap]
    @overload
    def convert_tokens_to_ids(self, tokens: Sequence[str]) -> list[int]: ...
    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> Any:  # see the overloads
        """Id of a token, or a list for a list; an unknown token has the id of unk_token."""
        backend, ids = self._tokenizer.backend, []
        for token in single_texts(tokens, "convert_tokens_to_ids()"):
            id = backend.token_to_id(token)
            unknown = self._tokenizer.special_tokens.get("unk_token", "")
            ids.append(backend.token_to_id(unknown) if id is None else id)
        return ids[0] if isinstance(tokens, str) else ids

    def get_vocab(self) -> dict[str, int]:
        """Every token with its id, added ones among them."""
        return self._tokenizer.backend.get_vocab(with_added_tokens=True)

    @property
    def vocab_size(self) -> int:
        """Number of tokens in the vocabulary, without added ones."""
        return self._tokenizer.backend.get_vocab_size(with_added_tokens=False)

    def __len__(self) -> int:
        return self._tokenizer.backend.get_vocab_size(with_added_tokens=True)

    @property
    def model_max_length(self) -> int:
        """Maximum number of tokens of a text, with special ones."""
        return self._tokenizer.max_length

    @property
    def padding_side(self) -> str:
        """Side of the padding: "left" or "right"."""
        return self._tokenizer.padding_side

    @property
    def all_special_ids(self) -> list[int]:
        """Ids of the special tokens."""
        return list(self._tokenizer.special_ids)

    def __getattr__(self, name: str) -> Any:
        """cls_token, cls_token_id and so on; None for a special token that the folder lacks."""
        token = name.removesuffix("_id")
        if not token.endswith("_token") or token not in SPECIAL_NAMES:
            raise AttributeError(f"Tokenizer has no attribute {name!r}")
        text = self._tokenizer.special_tokens.get(token)
        return self.convert_tokens_to_ids(text) if name.endswith("_id") and text else text


def list_of_ids(given: Any) -> list[int]:
    """Return an id, or several in a list or an array, as a list; ValueError for others."""
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
    """Pair texts with their second texts."""
    if len(texts) != len(seconds) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"There are {len(texts)} texts and {len(seconds)} second ones.")
    pairs: list[Any] = list(zip(texts, check_texts(seconds), strict=True))
    return pairs

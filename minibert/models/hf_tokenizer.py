"""Tokenizer under transformers' names: texts -> padded ids, tokens <-> ids.

No model here, and no tokenization of its own: that is in `tokens/`. Start at Tokenizer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike

from minibert.bert.families import FAMILIES, max_tokens
from minibert.bert.load import read_config
from minibert.checkpoint.hub import find_model
from minibert.checkpoint.repository import HubOptions
from minibert.common.arguments import check_counts
from minibert.common.arrays import IntArray
from minibert.common.json_files import read_json
from minibert.models.batch_encoding import BatchEncoding
from minibert.models.foreign_arguments import missing_name
from minibert.models.tokenizer_call import (
    PADDINGS,
    TRUNCATIONS,
    Padding,
    TokenizerOptions,
    arrays_of,
    check_tensors,
    checked_stride,
    choice,
    list_of_ids,
    listed_by_name,
    padded,
    rows_of_ids,
    texts_of_call,
    values_of,
    with_overflow,
)
from minibert.tokens.classes import SPECIAL_NAMES
from minibert.tokens.load import load_tokenizer
from minibert.tokens.texts import no_list, single_texts
from minibert.tokens.tokenizer import Encode, TextTokenizer

if TYPE_CHECKING:
    from minibert.models.signatures import TokenArrays

__all__ = ["Tokenizer"]

# Settings of tokenizer_config.json that from_pretrained takes, beside special tokens.
SETTINGS = (
    *("model_max_length", "do_lower_case", "strip_accents", "tokenize_chinese_chars"),
    *("padding_side", "truncation_side", "model_input_names", "add_prefix_space"),
    *("split_special_tokens", "additional_special_tokens", "extra_special_tokens"),
)
# Blanks that clean_up_tokenization_spaces takes out, with what stands beside them -> without.
CLEAN_UP = [
    *((f" {mark}", mark) for mark in ".?!,"),
    (" ' ", "'"),
    *((f" {end}", end) for end in ("n't", "'m", "'s", "'ve", "'re")),
]

# Names of transformers' tokenizers -> what to do here.
INSTEAD = {
    "add_special_tokens": "Add them with transformers, and save the folder.",
    "add_tokens": "Add them with transformers, and save the folder.",
    "apply_chat_template": "Models here have no chats.",
    "save_pretrained": "Copy the folder's tokenizer.json and tokenizer_config.json, or save the "
    "model with SentenceTransformer's save_pretrained().",
}


class Tokenizer:
    """Texts -> padded ids, and tokens <-> ids, under transformers' names.

    `cls_token`, `cls_token_id` and so on are there for every special token of the folder.
    """

    is_fast = True  # the `tokenizers` library splits the texts
    pad_token_type_id = 0  # token type of padding

    def __init__(self, tokenizer: TextTokenizer, name_or_path: str = "") -> None:
        """Wrap a tokenizer; `name_or_path` is what it was loaded from."""
        self._tokenizer = tokenizer
        self.name_or_path = name_or_path  # what it was loaded from

    @classmethod
    def from_pretrained(
        cls,
        model_name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        use_fast: bool = True,
        trust_remote_code: bool = False,
        **settings: Any,  # as in tokenizer_config.json
    ) -> Tokenizer:
        """Load the tokenizer of a folder or of a model of the hub.

        `settings` beat tokenizer_config.json, by key: model_max_length, do_lower_case,
        padding_side, truncation_side, pad_token and so on. `use_fast` and `trust_remote_code`
        change nothing.

        Raises TypeError for another setting, and as SentenceTransformer's constructor does.
        """
        known = {*SETTINGS, *SPECIAL_NAMES}
        if unknown := sorted(settings.keys() - known):
            raise TypeError(
                f"from_pretrained() got {unknown[0]!r}; the settings of a tokenizer are "
                f"{', '.join(sorted(known))}."
            )
        hub = HubOptions(revision, cache_dir, token, local_files_only)
        folder = find_model(model_name_or_path, hub)
        config = read_config(read_json(folder / "config.json", dict), folder / "config.json")
        tokenizer = load_tokenizer(
            folder,
            vocab_size=config.vocab_size,
            max_tokens=max_tokens(config),
            default_class=FAMILIES[config.model_type].tokenizer,
            names_class=FAMILIES[config.model_type].names_tokenizer,
            tokenizer_args={key: value for key, value in settings.items() if value is not None},
        )
        return cls(tokenizer, os.fspath(model_name_or_path))

    # fmt: off
    @overload
    def __call__(
        self, text: str | Sequence[str | Sequence[str]],
        text_pair: str | Sequence[str] | None = ..., *, return_tensors: Literal["np"],
        **options: Unpack[TokenizerOptions],
    ) -> TokenArrays: ...  # a BatchEncoding
    @overload
    def __call__(
        self, text: str | Sequence[str | Sequence[str]],
        text_pair: str | Sequence[str] | None = ..., *, return_tensors: Literal["pt"],
        **options: Unpack[TokenizerOptions],
    ) -> BatchEncoding[Any]: ...  # of tensors of torch
    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a list of str to a checker, too
        self, text: str, text_pair: str | None = ...,
        *, return_tensors: None = ..., **options: Unpack[TokenizerOptions],
    ) -> BatchEncoding[list[int]]: ...
    @overload
    def __call__(
        self, text: Sequence[str | Sequence[str]],
        text_pair: str | Sequence[str] | Sequence[Sequence[str]] | None = ...,
        *, return_tensors: None = ..., **options: Unpack[TokenizerOptions],
    ) -> BatchEncoding[list[list[int]]]: ...
    # fmt: on
    def __call__(
        self,
        text: Any,  # see the overloads
        text_pair: Any = None,  # see the overloads
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
    ) -> Any:  # arrays or lists: see the overloads
        """Tokenise S texts, or pairs: -> input_ids, token_type_ids, attention_mask, (S, T) int64.

        Args:
            text: A str, or a list of str or of pairs.
            text_pair: Second text of a pair, or a list of second texts.
            add_special_tokens: False leaves out the special tokens around a text.
            padding: True or "longest" for the longest text's length, "max_length" for max_length,
                False for none, which with arrays needs texts of one length.
            truncation: True or "longest_first" truncates at max_length, of a pair the longer text
                first; "only_first" and "only_second" truncate one text of a pair. False truncates
                nothing, and None only where max_length is given, without padding.
            max_length: Tokens of a text, with special ones; None is the model's maximum.
            stride: Tokens that a row of a text has in common with its row before, with
                return_overflowing_tokens.
            is_split_into_words: True for texts that are lists of words.
            pad_to_multiple_of: Number of which a padded length is a multiple.
            padding_side: "left" or "right"; None is the folder's own.
            return_tensors: "np" for arrays, "pt" for tensors of torch, None for lists.
            return_token_type_ids: True or False; None is the folder's own.
            return_attention_mask: True or False; None is the folder's own.
            return_overflowing_tokens: True gives the tokens that truncation takes from a text as
                further rows, and overflow_to_sample_mapping, the number of each row's text.
            return_special_tokens_mask: True gives special_tokens_mask, 1 at special tokens.
            return_offsets_mapping: True gives offset_mapping (S, T, 2): a token is text[start:end].
            return_length: True gives length, the number of tokens of each row.
            verbose: Changes nothing.

        Raises TypeError or ValueError for an input that is no text, and for any other value;
        MissingLibraryError for "pt" without torch.
        """
        check_counts(max_length=max_length, pad_to_multiple_of=pad_to_multiple_of)
        check_tensors(return_tensors)
        longest = max_length or self.model_max_length
        if truncation is None:
            truncation = max_length is not None and padding is False
        how = Encode(
            max_length=longest,
            truncation=choice("truncation", truncation, TRUNCATIONS),
            stride=checked_stride(stride),
            padding=choice("padding", padding, PADDINGS),
            multiple=pad_to_multiple_of,
            padding_side=self._side(padding_side),
            special=add_special_tokens,
            is_split=is_split_into_words,
        )
        if how.padding:
            self._check_padding()
        texts, single = texts_of_call(text, text_pair, is_split_into_words)
        encodings = self._tokenizer.encodings(texts, how) if texts else []
        encodings, numbers = with_overflow(encodings, return_overflowing_tokens)
        values = values_of(
            encodings,
            token_type_ids=self._returns("token_type_ids", return_token_type_ids),
            attention_mask=self._returns("attention_mask", return_attention_mask),
            special_tokens_mask=return_special_tokens_mask,
            offset_mapping=return_offsets_mapping,
            length=return_length,
        )
        if return_overflowing_tokens:
            values["overflow_to_sample_mapping"] = numbers
        if return_tensors:
            return BatchEncoding(arrays_of(values, return_tensors), encodings)
        if single and not return_overflowing_tokens:
            values = {name: rows if name == "length" else rows[0] for name, rows in values.items()}
        return BatchEncoding(values, encodings)

    def _side(self, padding_side: str | None) -> str:
        """Return a side of the padding, by default the folder's; ValueError for another word."""
        side = padding_side or self.padding_side
        if side not in ("left", "right"):
            raise ValueError(f'padding_side is {side!r}; expected "left" or "right".')
        return side

    def _check_padding(self) -> None:
        """Raise ValueError for a tokenizer without a token for padding."""
        if "pad_token" not in self._tokenizer.special_tokens:
            raise ValueError(
                "This tokenizer has no pad_token, so it cannot pad. Pass one to from_pretrained(), "
                'as pad_token="[PAD]".'
            )

    def _returns(self, name: str, asked: bool | None) -> bool:
        """Return whether an array is asked for; None asks for those of the folder."""
        return name in self._tokenizer.input_names if asked is None else asked

    def pad(
        self,
        # Lists or arrays, of numbers or of lists.
        encoded_inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        verbose: bool = True,
    ) -> BatchEncoding[Any]:  # arrays or lists, as asked for
        """Pad results of calls to one length: lists by name, or a dict for each text.

        Of names beside input_ids, token_type_ids, attention_mask and special_tokens_mask the values
        stay as they are. The other arguments are those of a call.

        Raises ValueError where there are no input_ids, and for any other value.
        """
        check_counts(max_length=max_length, pad_to_multiple_of=pad_to_multiple_of)
        check_tensors(return_tensors)
        how = Padding(
            choice("padding", padding, PADDINGS),
            max_length or self.model_max_length,
            pad_to_multiple_of or 1,
            self._side(padding_side),
            self._tokenizer.pad_id,
            self._returns("attention_mask", return_attention_mask),
        )
        if how.kind:
            self._check_padding()
        values = padded(listed_by_name(encoded_inputs), how)
        return BatchEncoding(arrays_of(values, return_tensors) if return_tensors else values)

    def encode(
        self, text: str, text_pair: str | None = None, **options: Unpack[TokenizerOptions]
    ) -> list[int]:
        """Return the ids of one text, or of a pair; the arguments are those of a call."""
        return self(text, text_pair, **options)["input_ids"]

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False
    ) -> list[str]:
        """Tokens of a text or a pair, without special tokens unless they are asked for."""
        for given in (text,) if pair is None else (text, pair):
            if not isinstance(given, str):
                raise no_list(given, "tokenize()", "a str")
        return self(text, pair, add_special_tokens=add_special_tokens).tokens()

    def decode(
        self,
        token_ids: ArrayLike,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> Any:  # a str, or a list of them for rows of ids
        """Text of some ids, or a list for rows; spaces and letter case may differ from before.

        `clean_up_tokenization_spaces` takes out blanks before punctuation, in English, but in no
        byte-level tokenizer; None does so as far as the tokenizer does it by itself.
        """
        rows = rows_of_ids(token_ids)
        if rows is None:
            rows = [list_of_ids(token_ids)]
            return self._decoded(rows[0], skip_special_tokens, clean_up_tokenization_spaces)
        return [
            self._decoded(row, skip_special_tokens, clean_up_tokenization_spaces) for row in rows
        ]

    def _decoded(self, ids: list[int], skip_special_tokens: bool, clean_up: bool | None) -> str:
        """Return the text of one row of ids."""
        backend = self._tokenizer.backend
        text = backend.decode(ids, skip_special_tokens=skip_special_tokens)
        if clean_up and type(backend.model).__name__ != "BPE":
            for before, after in CLEAN_UP:
                text = text.replace(before, after)
        return text

    def batch_decode(
        self,
        sequences: ArrayLike,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> list[str]:
        """Texts of rows of ids; the arguments are those of decode()."""
        found = self.decode(sequences, skip_special_tokens, clean_up_tokenization_spaces)
        return [found] if isinstance(found, str) else found

    @overload
    def convert_ids_to_tokens(self, ids: int, skip_special_tokens: bool = ...) -> str | None: ...
    @overload
    def convert_ids_to_tokens(
        self, ids: Iterable[int] | IntArray, skip_special_tokens: bool = ...
    ) -> list[str | None]: ...
    def convert_ids_to_tokens(
        self, ids: int | Iterable[int] | IntArray, skip_special_tokens: bool = False
    ) -> str | list[str | None] | None:
        """Token of an id, or a list for a list; None where an id has no token.

        `skip_special_tokens` leaves special tokens out of a list.
        """
        if isinstance(ids, int | np.integer):
            return self._tokenizer.backend.id_to_token(list_of_ids(ids)[0])
        skipped = self.all_special_ids if skip_special_tokens else []
        kept = [id for id in list_of_ids(ids) if id not in skipped]
        return [self._tokenizer.backend.id_to_token(id) for id in kept]

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Text of some tokens."""
        decoder = self._tokenizer.backend.decoder
        parts = single_texts(tokens, "convert_tokens_to_string()")
        return decoder.decode(parts) if decoder else " ".join(parts)

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
    def vocab(self) -> dict[str, int]:
        """Every token with its id, added ones among them."""
        return self.get_vocab()

    def get_added_vocab(self) -> dict[str, int]:
        """Tokens that are found before a text is split, each with its id."""
        added = self._tokenizer.backend.get_added_tokens_decoder()
        return {token.content: id for id, token in sorted(added.items())}

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return the number of special tokens around a text, or around and in a pair."""
        return self._tokenizer.frame.size(2 if pair else 1)

    @property
    def backend_tokenizer(self) -> Any:  # a tokenizers.Tokenizer
        """Tokenizer of the `tokenizers` library; a program must not change it."""
        return self._tokenizer.backend

    @property
    def model_input_names(self) -> list[str]:
        """Names of the arrays that a call returns by itself."""
        return list(self._tokenizer.input_names)

    @property
    def max_len_single_sentence(self) -> int:
        """Maximum number of tokens of a text, without special ones."""
        return self.model_max_length - self.num_special_tokens_to_add()

    @property
    def truncation_side(self) -> str:
        """Side of a text that truncation takes tokens from: "left" or "right"."""
        return self._tokenizer.truncation_side

    @property
    def padding_side(self) -> str:
        """Side of the padding: "left" or "right"."""
        return self._tokenizer.padding_side

    @property
    def all_special_ids(self) -> list[int]:
        """Ids of the special tokens."""
        return list(self._tokenizer.special_ids)

    @property
    def all_special_tokens(self) -> list[str]:
        """Special tokens, in the order of their ids in all_special_ids."""
        return [self._tokenizer.backend.id_to_token(id) or "" for id in self.all_special_ids]

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """Special tokens by name, as "cls_token"."""
        return dict(self._tokenizer.special_tokens)

    def __getattr__(self, name: str) -> Any:
        """cls_token, cls_token_id and so on; None for a special token that the folder lacks."""
        token = name.removesuffix("_id")
        if name.startswith("_") or token not in SPECIAL_NAMES:
            raise missing_name("Tokenizer", name, INSTEAD)
        text = self._tokenizer.special_tokens.get(token)
        return self.convert_tokens_to_ids(text) if name.endswith("_id") and text else text

"""A folder's vocabulary -> its tokenizer, set up as transformers sets it up.

The tokenizer's class decides how a text is split: see classes.py. Special and added tokens,
lower-casing and the maximum length stand in tokenizer_config.json, or in older files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, normalizers, processors

from minibert.common.arguments import is_count
from minibert.common.json_files import is_there, read_json, setting
from minibert.errors import CheckpointError
from minibert.tokens.backends import (
    as_it_stands,
    bert_subclass,
    byte_level,
    token_text,
    word_piece,
)
from minibert.tokens.classes import (
    AS_IT_STANDS,
    CLASSES,
    NOT_BUILT,
    SPECIAL_NAMES,
    WITH_TYPES,
    TokenizerClass,
)
from minibert.tokens.tokenizer import TextTokenizer

__all__ = ["load_plain_tokenizer", "load_tokenizer"]

logger = logging.getLogger(__name__)

# Keys that end in _token and name no extra token.
NO_EXTRAS = (*SPECIAL_NAMES, "add_bos_token", "add_eos_token")
# Lists of extra tokens; the last one that is not empty counts.
EXTRA_LISTS = ("additional_special_tokens", "extra_special_tokens")
# Settings that a folder may give a token with its text.
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


def load_tokenizer(
    folder: Path,
    *,
    vocab_size: int,
    max_tokens: int,
    default_class: str = "BertTokenizer",
    names_class: bool = True,
    max_seq_length: int | None = None,
    do_lower_case: bool = False,
    tokenizer_args: Mapping[str, Any] | None = None,
) -> TextTokenizer:
    """Build the tokenizer that transformers would build from a folder.

    The maximum length is `max_seq_length`, or else model_max_length of tokenizer_config.json, and
    never more than `max_tokens`, the number of the model's positions. `default_class` is for a
    folder without a class, or with names_class=False for every folder. The last three arguments
    are of sentence_bert_config.json; `tokenizer_args` beat tokenizer_config.json, by key.

    Raises CheckpointError for a missing vocabulary or a tokenizer that minibert does not build.
    """
    path = folder / "tokenizer_config.json"
    settings = read_settings(folder) | dict(tokenizer_args or {})
    kind = class_of(path, settings, default_class, names_class)
    file = folder / "tokenizer.json"
    content = read_json(file, dict) if is_there(file) else {}
    check_special(folder, settings)
    extra = extra_tokens(path, settings, kind.extra_special_tokens)
    special = special_texts(settings, kind.special_tokens or pad_token_of(content))
    backend = build_backend(folder, settings, content, kind, special, extra)
    if do_lower_case:
        lower_case_first(backend)
    backend.encode_special_tokens = setting(path, settings, "split_special_tokens", bool, False)
    check_size(folder, backend, largest_id(backend, content), special, vocab_size)
    asked = None if "model_max_length" in (tokenizer_args or {}) else max_seq_length
    return TextTokenizer(
        backend,
        special_tokens=special,
        extra_special_tokens=[token.content for token in extra],
        max_length=max_length(path, settings, asked, max_tokens),
        padding_side=side_of(path, settings, "padding", content),
        truncation_side=side_of(path, settings, "truncation", content),
        input_names=input_names(path, settings, kind.input_names),
        trims_offsets=kind.build is byte_level,
        splits_as_bert=kind.build is word_piece or (kind.build is bert_subclass and not content),
    )


def load_plain_tokenizer(folder: Path, no_limit: int) -> TextTokenizer:
    """Build the tokenizer of tokenizer.json alone, without special tokens around a text.

    Its maximum length is that of the file's truncation, or else `no_limit`.

    Raises CheckpointError for a missing file, or one that is no tokenizer.
    """
    file = folder / "tokenizer.json"
    content = read_json(file, dict) if is_there(file) else {}
    backend = as_it_stands(folder, {}, content)
    backend.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B:1")
    truncation = setting(file, content, "truncation", dict, {})
    return TextTokenizer(
        backend,
        special_tokens=special_texts({}, pad_token_of(content)),
        max_length=max_length(
            file, {"max_len": truncation.get("max_length", no_limit)}, None, no_limit
        ),
        padding_side=side_of(file, {}, "padding", content),
        truncation_side=side_of(file, {}, "truncation", content),
        input_names=("input_ids", "attention_mask"),
        splits_as_bert=False,
    )


def class_of(
    path: Path, settings: dict[str, Any], default: str, names_class: bool
) -> TokenizerClass:
    """Row of CLASSES for the folder's class; `default` if it has none, or not names_class.

    A class that transformers does not know takes tokenizer.json as it stands, as there. Raises
    CheckpointError for its other classes, and for a class whose code lies in the folder.
    """
    named = setting(path, settings, "tokenizer_class", str, default)
    name = (named if names_class else default).removesuffix("Fast")
    if name in CLASSES:
        return CLASSES[name]
    if name.removesuffix("Tokenizer") in NOT_BUILT or settings.get("auto_map"):
        raise CheckpointError(
            f"{path}: tokenizer_class is {name!r:.80}; minibert builds {', '.join(CLASSES)}, "
            'each also with "Fast" at the end.'
        )
    return AS_IT_STANDS


def build_backend(
    folder: Path,
    settings: dict[str, Any],
    content: dict[str, Any],
    kind: TokenizerClass,
    special: dict[str, str],
    extra: list[AddedToken],
) -> Tokenizer:
    """Build the class's tokenizer over the folder's vocabulary, with added and special tokens."""
    path = folder / "tokenizer_config.json"
    added = read_added_tokens(folder, settings, content, extra)
    backend = kind.build(folder, settings, content)
    named = [added_token(path, settings.get(key), text) for key, text in special.items()]
    add_tokens(backend, added, named, extra)
    try:
        kind.set_template(backend, special)
    except ValueError as error:
        raise CheckpointError(f"{path}: the special tokens frame no text: {error}.") from error
    return backend


def largest_id(backend: Tokenizer, content: dict[str, Any]) -> int:
    """Largest id of the vocabulary, without added tokens, of tokenizer.json's `content` if any.

    Empty tokens, as of a blank line in vocab.txt, do not count, because no text has them. The
    library is asked last: its list of tokens takes longer than all other loading.
    """
    vocabulary = content.get("model", {}).get("vocab")
    if not isinstance(vocabulary, dict):
        vocabulary = backend.get_vocab(with_added_tokens=False)
    return max((id for token, id in vocabulary.items() if token), default=0)


def check_size(
    folder: Path, backend: Tokenizer, largest: int, special: dict[str, str], vocab_size: int
) -> None:
    """Raise CheckpointError for tokens beyond the embeddings; only warn about added tokens.

    Some published folders have added tokens that their model has no embeddings for. `largest` is
    the largest id of the other tokens.
    """
    added = {id: token.content for id, token in backend.get_added_tokens_decoder().items()}
    beyond = [id for id, text in added.items() if id >= vocab_size and text not in special.values()]
    for id, text in added.items():
        if id >= vocab_size and text in special.values():
            raise CheckpointError(
                f"{folder}: the special token {text!r:.80} has the id {id}; the model has "
                f"{vocab_size} word embeddings. Either the tokenizer's settings name a token that "
                "the vocabulary lacks, or the two files are not of one model."
            )
    if largest >= vocab_size:
        raise CheckpointError(
            f"{folder}: the vocabulary goes up to the id {largest}; the model has {vocab_size} "
            "word embeddings. The two files are not of one model."
        )
    if beyond:
        logger.warning(
            "%s: %d added tokens, as %r, have no word embedding; texts with them are refused.",
            folder,
            len(beyond),
            added[beyond[0]],
        )


def lower_case_first(backend: Tokenizer) -> None:
    """Lower-case texts before all else, as do_lower_case of sentence-transformers does."""
    steps: Any = backend.normalizer
    if not isinstance(steps, normalizers.Sequence):
        steps = [steps] if steps else []
    if not any(isinstance(step, normalizers.Lowercase) for step in steps):
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])


def read_settings(folder: Path) -> dict[str, Any]:
    """Read tokenizer_config.json, completed from older files as transformers completes it."""
    settings: dict[str, Any] = {}
    for name in ("config.json", "tokenizer_config.json"):
        content = read_json(folder / name, dict) if is_there(folder / name) else {}
        # Of config.json only the class counts, and only where tokenizer_config.json has none.
        settings |= {k: v for k, v in content.items() if name[0] == "t" or k == "tokenizer_class"}
    older = folder / "special_tokens_map.json"
    if "added_tokens_decoder" not in settings and is_there(older):
        tokens = read_json(older, dict)
        tokens.pop("tokenizer_class", None)  # transformers chooses the class before it reads this
        settings |= tokens
    return settings


def read_added_tokens(
    folder: Path, settings: dict[str, Any], content: dict[str, Any], extra: list[AddedToken]
) -> dict[int, AddedToken]:
    """Read the added tokens by id: from the settings, or else from the older files."""
    path = folder / "tokenizer_config.json"
    decoder = setting(path, settings, "added_tokens_decoder", dict)
    named = {*special_texts(settings, {}).values(), *(token.content for token in extra)}
    if decoder is None:
        listed = older_added_tokens(folder, content, named)
    else:
        listed = ((id_of(key), token) for key, token in decoder.items())
    tokens = {}
    for id, token in listed:
        text = token_text(token) if isinstance(token, dict) else None
        if not is_id(id) or text is None:
            raise CheckpointError(
                f"{folder}: an added token is {token!r:.80} with the id {id!r:.80}; expected an "
                "object with a content, and a whole number from 0 up."
            )
        tokens[id] = added_token(folder, token, text)
    return tokens


def older_added_tokens(
    folder: Path, content: dict[str, Any], named: set[str]
) -> Iterator[tuple[Any, Any]]:
    """Yield ids and tokens: first of added_tokens.json, then of tokenizer.json's `content`.

    The first file has no flags; its tokens are special if they are in `named`.
    """
    older = folder / "added_tokens.json"
    for text, id in (read_json(older, dict) if is_there(older) else {}).items():
        yield id, {"content": text, "special": text in named}
    for token in setting(folder / "tokenizer.json", content, "added_tokens", list, []):
        yield token.get("id") if isinstance(token, dict) else None, token


def id_of(key: str) -> int | str:
    """Convert a key of JSON, which is always a text, to an id; return the key if it is none."""
    return int(key) if key.isascii() and key.isdigit() and len(key) < 20 else key


def is_id(value: object) -> bool:
    """Return whether a value is a whole number from 0 up."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def add_tokens(
    backend: Tokenizer,
    added: dict[int, AddedToken],
    named: list[AddedToken],
    extra: list[AddedToken],
) -> None:
    """Add the tokens that are found in a text before it is split, the special ones last."""
    tokens = [token for _, token in sorted(added.items())]
    known = {token.content for token in tokens}
    known |= {token.content for token in backend.get_added_tokens_decoder().values()}
    special = {token.content for token in named}
    for token in [*named, *extra]:
        if token.content not in known:
            known.add(token.content)
            tokens.append(token)
    for token in tokens:
        token.special = token.special or token.content in special
    backend.add_tokens(tokens)


def check_special(folder: Path, settings: dict[str, Any]) -> None:
    """Raise CheckpointError for a special token that is neither a text nor an object with one."""
    for key in SPECIAL_NAMES:
        value = settings.get(key)
        if value is not None and token_text(value) is None:
            raise CheckpointError(
                f"{folder}: the tokenizer's {key} is {value!r:.80}; expected a text, or an object "
                "with a content."
            )


def special_texts(settings: dict[str, Any], defaults: Mapping[str, str | None]) -> dict[str, str]:
    """Special tokens by name, in transformers' order; a folder may give one as an object."""
    texts = {key: token_text(settings.get(key)) or defaults.get(key) for key in SPECIAL_NAMES}
    return {key: text for key, text in texts.items() if text}


def pad_token_of(content: dict[str, Any]) -> dict[str, str | None]:
    """Pad token of the padding in a tokenizer.json, under its name."""
    padding = content.get("padding")
    return {"pad_token": token_text(padding.get("pad_token")) if isinstance(padding, dict) else ""}


def extra_tokens(
    path: Path, settings: dict[str, Any], defaults: tuple[str, ...]
) -> list[AddedToken]:
    """List special tokens beyond the usual names: of a list, an object, or keys in _token.

    A folder with neither such keys nor a list has those of `defaults`.
    """
    extra: list[Any] = []
    for key in EXTRA_LISTS:
        found = [] if settings.get(key) is None else settings[key]
        if not isinstance(found, list | dict):
            raise CheckpointError(f"{path}: {key} is {found!r:.80}; expected a list.")
        extra = (list(found.values()) if isinstance(found, dict) else found) or extra
        if odd := [token for token in extra if token_text(token) is None]:
            raise CheckpointError(
                f"{path}: {key} holds {odd[0]!r:.80}; expected texts, or objects with a content."
            )
    others = [
        value
        for key, value in settings.items()
        if key.endswith("_token") and key not in NO_EXTRAS and isinstance(value, str)
    ]
    tokens = [*others, *extra]
    named = [added_token(path, token, text) for token in tokens if (text := token_text(token))]
    if named or not settings.keys().isdisjoint(EXTRA_LISTS):
        return named
    return [added_token(path, None, text) for text in defaults]


def added_token(path: Path, value: object, text: str) -> AddedToken:
    """Make a token with the flags of an object; any other `value` makes a special token."""
    # The reference ignores other keys.
    flags = {key: value[key] for key in FLAGS if key in value} if isinstance(value, dict) else {}
    if odd := [key for key, flag in flags.items() if not isinstance(flag, bool)]:
        raise CheckpointError(
            f"{path}: the token {text!r:.80} has {odd[0]} {flags[odd[0]]!r:.80}; "
            "expected true or false."
        )
    return AddedToken(text, **{"special": not flags, **flags})


def input_names(path: Path, settings: dict[str, Any], default: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the model's input arrays, in the order of transformers' own output."""
    names = setting(path, settings, "model_input_names", list, list(default))
    if odd := [name for name in names if name not in WITH_TYPES]:
        raise CheckpointError(
            f"{path}: model_input_names holds {odd[0]!r:.80}; expected some of "
            f"{', '.join(WITH_TYPES)}."
        )
    if "attention_mask" not in names:
        logger.warning(
            "%s: model_input_names has no attention_mask. In other libraries padding then counts, "
            "so a vector depends on the other texts of its batch; here it does not.",
            path,
        )
    return tuple(names)


def side_of(path: Path, settings: dict[str, Any], action: str, content: dict[str, Any]) -> str:
    """Side of "truncation" or "padding": of the settings, or else of tokenizer.json."""
    stored = content.get(action)
    default = stored.get("direction", "right") if isinstance(stored, dict) else "right"
    side: str = setting(path, settings, f"{action}_side", str, str(default).lower())
    if side not in ("left", "right"):
        raise CheckpointError(f"{path}: {action}_side is {side!r:.80}; expected 'left' or 'right'.")
    return side


def max_length(
    path: Path, settings: dict[str, Any], max_seq_length: int | None, max_tokens: int
) -> int:
    """Maximum length of a text in tokens, at most `max_tokens`. See load_tokenizer."""
    limit: Any = max_seq_length
    if limit is None:
        key = "model_max_length" if "model_max_length" in settings else "max_len"
        limit = setting(path, settings, key, object, max_tokens)
        # Folders write "no limit" as 1e30.
        if not is_count(limit) and not (isinstance(limit, float) and limit >= max_tokens):
            raise CheckpointError(
                f"{path}: {key} is {limit!r:.80}; expected a whole number from 1 up."
            )
    return int(min(limit, max_tokens))

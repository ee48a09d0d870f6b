"""A folder's vocabulary -> its tokenizer, set up as transformers sets it up.

How a text is split is the tokenizer's class, see classes.py; special and added tokens,
lower-casing and the maximum length stand in tokenizer_config.json, or in older files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, normalizers

from minibert.common.arguments import is_count
from minibert.common.json_files import is_there, read_json, setting
from minibert.errors import CheckpointError
from minibert.tokens.classes import (
    CLASSES,
    SPECIAL_NAMES,
    WITH_TYPES,
    TokenizerClass,
    bert_subclass,
    token_text,
    word_piece,
)
from minibert.tokens.tokenizer import TextTokenizer

__all__ = ["load_tokenizer"]

logger = logging.getLogger(__name__)

# Keys that end in _token and name no extra token.
NO_EXTRAS = (*SPECIAL_NAMES, "add_bos_token", "add_eos_token")
# The lists of extra tokens; the last that is not empty counts.
EXTRA_LISTS = ("additional_special_tokens", "extra_special_tokens")
# What a folder may say of a token beside its text.
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

    The most tokens of a text are `max_seq_length`; without it the smaller of
    tokenizer_config.json's model_max_length and the model's positions. `default_class` is for a
    folder that names no class, or for one whose class does not count (names_class=False). The last
    three are of sentence_bert_config.json; `tokenizer_args` beat tokenizer_config.json, by key.

    Raises CheckpointError for a missing vocabulary or a tokenizer that minibert does not build.
    """
    path = folder / "tokenizer_config.json"
    settings = read_settings(folder) | dict(tokenizer_args or {})
    made = class_of(path, settings, default_class, names_class)
    file = folder / "tokenizer.json"
    content = read_json(file, dict) if is_there(file) else {}
    check_special(folder, settings)
    extra = extra_tokens(path, settings, made.extra_special_tokens)
    special = special_texts(settings, made.special_tokens or pad_token_of(content))
    backend = built(folder, settings, content, made, special, extra)
    if do_lower_case:
        lower_case_first(backend)
    backend.encode_special_tokens = setting(path, settings, "split_special_tokens", bool, False)
    check_size(folder, backend, largest_word(backend, content), special, vocab_size)
    asked = None if "model_max_length" in (tokenizer_args or {}) else max_seq_length
    return TextTokenizer(
        backend,
        special_tokens=special,
        extra_special_tokens=[token.content for token in extra],
        max_length=max_length(path, settings, asked, max_tokens),
        padding_side=side_of(path, settings, "padding", content),
        truncation_side=side_of(path, settings, "truncation", content),
        input_names=input_names(path, settings, made.input_names),
        splits_as_bert=made.build is word_piece or (made.build is bert_subclass and not content),
    )


def class_of(
    path: Path, settings: dict[str, Any], default: str, names_class: bool
) -> TokenizerClass:
    """The class of a folder's tokenizer: the one that it names, if that counts, or the default."""
    named = setting(path, settings, "tokenizer_class", str, default)
    kind = (named if names_class else default).removesuffix("Fast")
    if kind not in CLASSES:
        raise CheckpointError(
            f"{path}: tokenizer_class is {kind!r:.80}; minibert builds {', '.join(CLASSES)}, "
            'each also with "Fast" at the end.'
        )
    return CLASSES[kind]


def built(
    folder: Path,
    settings: dict[str, Any],
    content: dict[str, Any],
    made: TokenizerClass,
    special: dict[str, str],
    extra: list[AddedToken],
) -> Tokenizer:
    """The class's tokenizer over the folder's vocabulary, with added tokens and a frame."""
    path = folder / "tokenizer_config.json"
    added = read_added_tokens(folder, settings, content, extra)
    backend = made.build(folder, settings, content)
    named = [added_token(path, settings.get(key), text) for key, text in special.items()]
    add_tokens(backend, added, named, extra)
    try:
        made.frame(backend, special)
    except ValueError as error:
        raise CheckpointError(f"{path}: the special tokens frame no text: {error}.") from error
    return backend


def largest_word(backend: Tokenizer, content: dict[str, Any]) -> int:
    """The largest id of a word, added ones apart: of tokenizer.json's content, if there is one.

    No text has an empty word, as a blank line of vocab.txt makes one. To have the words from the
    library takes longer than anything else there is to load.
    """
    vocabulary = content.get("model", {}).get("vocab")
    if not isinstance(vocabulary, dict):
        vocabulary = backend.get_vocab(with_added_tokens=False)
    return max((id for word, id in vocabulary.items() if word), default=0)


def check_size(
    folder: Path, backend: Tokenizer, largest: int, special: dict[str, str], vocab_size: int
) -> None:
    """Raise CheckpointError for words beyond the embeddings, but for added ones that may not come.

    Some published folders have added tokens that their model was never given.
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
    """What do_lower_case of sentence-transformers means: lower case, before all else."""
    steps: Any = backend.normalizer
    if not isinstance(steps, normalizers.Sequence):
        steps = [steps] if steps else []
    if not any(isinstance(step, normalizers.Lowercase) for step in steps):
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])


def read_settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, completed from older files the way transformers completes it."""
    settings: dict[str, Any] = {}
    for name in ("config.json", "tokenizer_config.json"):
        content = read_json(folder / name, dict) if is_there(folder / name) else {}
        # Of config.json only the class counts, and only where tokenizer_config.json has none.
        settings |= {k: v for k, v in content.items() if name[0] == "t" or k == "tokenizer_class"}
    older = folder / "special_tokens_map.json"
    if "added_tokens_decoder" not in settings and is_there(older):
        tokens = read_json(older, dict)
        tokens.pop("tokenizer_class", None)  # it comes too late to choose one
        settings |= tokens
    return settings


def read_added_tokens(
    folder: Path, settings: dict[str, Any], content: dict[str, Any], extra: list[AddedToken]
) -> dict[int, AddedToken]:
    """The added tokens by id: those the settings list, else those of the older files."""
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
    """The ids and the tokens of added_tokens.json, then those of tokenizer.json's content.

    The first file knows no flags: its tokens are special where they are `named` elsewhere.
    """
    older = folder / "added_tokens.json"
    for text, id in (read_json(older, dict) if is_there(older) else {}).items():
        yield id, {"content": text, "special": text in named}
    for token in setting(folder / "tokenizer.json", content, "added_tokens", list, []):
        yield token.get("id") if isinstance(token, dict) else None, token


def id_of(key: str) -> int | str:
    """The id that a key of JSON, which is always a text, stands for; or the key, if for none."""
    return int(key) if key.isascii() and key.isdigit() and len(key) < 20 else key


def is_id(value: object) -> bool:
    """Whether a value is a whole number from 0 up."""
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
    """Raise CheckpointError for a special token that is neither a text nor has one."""
    for key in SPECIAL_NAMES:
        value = settings.get(key)
        if value is not None and token_text(value) is None:
            raise CheckpointError(
                f"{folder}: the tokenizer's {key} is {value!r:.80}; expected a text, or an object "
                "with a content."
            )


def special_texts(settings: dict[str, Any], defaults: Mapping[str, str | None]) -> dict[str, str]:
    """The special tokens by name, in transformers' order; a folder may give one as an object."""
    texts = {key: token_text(settings.get(key)) or defaults.get(key) for key in SPECIAL_NAMES}
    return {key: text for key, text in texts.items() if text}


def pad_token_of(content: dict[str, Any]) -> dict[str, str | None]:
    """The pad token that a tokenizer.json was left with, under its name."""
    padding = content.get("padding")
    return {"pad_token": token_text(padding.get("pad_token")) if isinstance(padding, dict) else ""}


def extra_tokens(
    path: Path, settings: dict[str, Any], defaults: tuple[str, ...]
) -> list[AddedToken]:
    """Special tokens beyond the usual names: a list, an object, or keys that end in _token.

    Where a folder has neither those keys nor a list, they are the defaults.
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
    """A token with its flags, if a folder gives it as an object; else a special one."""
    # Of other keys the reference takes no notice.
    flags = {key: value[key] for key in FLAGS if key in value} if isinstance(value, dict) else {}
    if odd := [key for key, flag in flags.items() if not isinstance(flag, bool)]:
        raise CheckpointError(
            f"{path}: the token {text!r:.80} has {odd[0]} {flags[odd[0]]!r:.80}; "
            "expected true or false."
        )
    return AddedToken(text, **{"special": not flags, **flags})


def input_names(path: Path, settings: dict[str, Any], default: tuple[str, ...]) -> tuple[str, ...]:
    """Which arrays the model is given of a text, in the order of transformers' own output."""
    names = setting(path, settings, "model_input_names", list, list(default))
    if odd := [name for name in names if name not in WITH_TYPES]:
        raise CheckpointError(
            f"{path}: model_input_names holds {odd[0]!r:.80}; expected some of "
            f"{', '.join(WITH_TYPES)}."
        )
    if "attention_mask" not in names:
        logger.warning(
            "%s: model_input_names has no attention_mask. Elsewhere a text's vector then depends "
            "on the texts beside it, as padding counts; here it is that of the text alone.",
            path,
        )
    return tuple(names)


def side_of(path: Path, settings: dict[str, Any], what: str, content: dict[str, Any]) -> str:
    """Where a text is cut or padded: as the settings say, else as tokenizer.json was left."""
    left_behind = content.get(what)
    default = left_behind.get("direction", "right") if isinstance(left_behind, dict) else "right"
    side: str = setting(path, settings, f"{what}_side", str, str(default).lower())
    if side not in ("left", "right"):
        raise CheckpointError(f"{path}: {what}_side is {side!r:.80}, neither 'left' nor 'right'.")
    return side


def max_length(
    path: Path, settings: dict[str, Any], max_seq_length: int | None, max_tokens: int
) -> int:
    """The most tokens a text may have. See load_tokenizer; never more than there are positions."""
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

"""A folder's vocabulary -> its tokenizer, set up as transformers sets it up.

transformers rebuilds a BERT's tokenizer: of tokenizer.json only the vocabulary and the added tokens
count; lower-casing, accents and the maximum length stand in tokenizer_config.json. Where that file
names the class PreTrainedTokenizerFast, or one of a few others, tokenizer.json is taken as it
stands, but for its truncation and padding.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from minibert.errors import CheckpointError
from minibert.json_files import is_count, read_json, setting
from minibert.modules import TransformerSettings
from minibert.tokens import TextTokenizer

__all__ = ["load_tokenizer"]

logger = logging.getLogger(__name__)

# tokenizer_class -> what it makes of a text, in the order of transformers' own output.
WITH_TYPES = ("input_ids", "token_type_ids", "attention_mask")
WITHOUT_TYPES = ("input_ids", "attention_mask")
REBUILT = {
    "BertTokenizer": WITH_TYPES,
    "DistilBertTokenizer": WITHOUT_TYPES,
    # Other names that transformers has for BertTokenizer itself.
    "ElectraTokenizer": WITH_TYPES,
    "LayoutLMTokenizer": WITH_TYPES,
    "LxmertTokenizer": WITH_TYPES,
    "MobileBertTokenizer": WITH_TYPES,
    "SqueezeBertTokenizer": WITH_TYPES,
}
# Subclasses of BertTokenizer that take a tokenizer.json as it stands, but for [CLS] and [SEP].
BERT_SUBCLASSES = {
    "ConvBertTokenizer": WITH_TYPES,
    "DPRContextEncoderTokenizer": WITH_TYPES,
    "DPRQuestionEncoderTokenizer": WITH_TYPES,
}
AS_IT_STANDS = {"PreTrainedTokenizer": WITHOUT_TYPES, "TokenizersBackend": WITHOUT_TYPES}
INPUT_NAMES = REBUILT | BERT_SUBCLASSES | AS_IT_STANDS

# The special tokens' names in the order in which transformers adds them, with a BERT's own texts.
SPECIAL_TOKENS = {
    "bos_token": None,
    "eos_token": None,
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}


def load_tokenizer(
    transformer: TransformerSettings, *, vocab_size: int, max_position_embeddings: int
) -> TextTokenizer:
    """Build the tokenizer that transformers would build from a folder.

    The most tokens of a text are the settings' max_seq_length; without it the smaller of
    tokenizer_config.json's model_max_length and the model's positions.

    Raises CheckpointError for a missing vocabulary or a tokenizer that minibert does not build.
    """
    folder = transformer.path
    path = folder / "tokenizer_config.json"
    settings = read_settings(folder) | dict(transformer.tokenizer_args)
    kind = setting(path, settings, "tokenizer_class", str, "BertTokenizer").removesuffix("Fast")
    if kind not in INPUT_NAMES:
        raise CheckpointError(
            f"{path}: tokenizer_class is {kind!r}; minibert builds {', '.join(INPUT_NAMES)}, "
            'each also with "Fast" at the end.'
        )
    file = folder / "tokenizer.json"
    content = read_json(file, dict) if file.exists() else {}
    extra = extra_tokens(path, settings)
    added = read_added_tokens(folder, settings, content, extra)
    rebuilds = kind in REBUILT or (kind in BERT_SUBCLASSES and not content)
    of_bert = rebuilds or kind in BERT_SUBCLASSES
    backend = rebuilt(folder, settings, content) if rebuilds else as_it_stands(file, content)
    special = special_texts(settings, SPECIAL_TOKENS if of_bert else pad_token_of(content))
    add_tokens(backend, added, settings, special, extra)
    if of_bert:
        frame_as_bert(backend, special)
    if transformer.do_lower_case:
        lower_case_first(backend)
    backend.encode_special_tokens = setting(path, settings, "split_special_tokens", bool, False)
    check_size(folder, backend, largest_word(backend, content), special, vocab_size)
    input_names = setting(path, settings, "model_input_names", list, list(INPUT_NAMES[kind]))
    return TextTokenizer(
        backend,
        special_tokens=special,
        extra_special_tokens=[token.content for token in extra],
        max_length=max_length(settings, transformer, max_position_embeddings),
        padding_side=side_of(path, settings, "padding", content),
        truncation_side=side_of(path, settings, "truncation", content),
        input_names=tuple(input_names),
        splits_as_bert=rebuilds,
    )


def largest_word(backend: Tokenizer, content: dict[str, Any]) -> int:
    """The largest id of a word, added ones apart: of tokenizer.json's content, if there is one.

    To have them from the library takes longer than anything else there is to load.
    """
    vocabulary = content.get("model", {}).get("vocab")
    if not isinstance(vocabulary, dict):
        vocabulary = backend.get_vocab(with_added_tokens=False)
    return max(vocabulary.values(), default=0)


def check_size(
    folder: Path, backend: Tokenizer, largest: int, special: dict[str, str], vocab_size: int
) -> None:
    """Raise CheckpointError for words beyond the embeddings, but for added ones that may not come.

    Some published folders have added tokens that their model was never given.
    """
    added = {id: token.content for id, token in backend.get_added_tokens_decoder().items()}
    beyond = [id for id, text in added.items() if id >= vocab_size and text not in special.values()]
    largest = max((largest, *(id for id in added if id not in beyond)))
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


def rebuilt(folder: Path, settings: dict[str, Any], content: dict[str, Any]) -> Tokenizer:
    """A BERT's tokenizer over the folder's words."""
    path = folder / "tokenizer_config.json"
    unknown = token_text(settings.get("unk_token")) or "[UNK]"
    backend = Tokenizer(read_words(folder, content, unknown))
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=setting(path, settings, "tokenize_chinese_chars", bool, True),
        strip_accents=setting(path, settings, "strip_accents", bool),
        # Lower case by default, also where the file is missing: so does the reference.
        lowercase=setting(path, settings, "do_lower_case", bool, True),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    return backend


def as_it_stands(path: Path, content: dict[str, Any]) -> Tokenizer:
    """The tokenizer of a tokenizer.json, without its truncation and padding."""
    if not content:
        raise CheckpointError(f"{path} is missing; the folder's tokenizer_class needs it.")
    try:
        backend = Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"{path} is no tokenizer: {error}.") from error
    backend.no_truncation()
    backend.no_padding()
    return backend


def frame_as_bert(backend: Tokenizer, special: dict[str, str]) -> None:
    """Put [CLS] before a text and [SEP] behind it; a pair's second text has the type 1."""
    cls, sep = special["cls_token"], special["sep_token"]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(text, backend.token_to_id(text)) for text in (cls, sep)],
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
        content = read_json(folder / name, dict) if (folder / name).exists() else {}
        # Of config.json only the class counts, and only where tokenizer_config.json has none.
        settings |= {k: v for k, v in content.items() if name[0] == "t" or k == "tokenizer_class"}
    older = folder / "special_tokens_map.json"
    if "added_tokens_decoder" not in settings and older.exists():
        settings |= read_json(older, dict)
    return settings


def read_words(folder: Path, content: dict[str, Any], unknown: str) -> WordPiece:
    """The WordPiece model of tokenizer.json, whose content is given, or else of vocab.txt."""
    path = folder / "tokenizer.json"
    if content:
        model = setting(path, content, "model", dict, {})
        vocabulary = setting(path, model, "vocab", dict)
        if model.get("type", "WordPiece") != "WordPiece" or not vocabulary:
            raise CheckpointError(f"{path}: the model is no WordPiece with a vocabulary.")
        if set(map(type, vocabulary.values())) != {int} or min(vocabulary.values()) < 0:
            raise CheckpointError(f"{path}: the vocabulary has ids that are no whole numbers.")
        words = WordPiece(vocabulary, unk_token=unknown)
    elif (folder / "vocab.txt").exists():
        words = WordPiece.from_file(str(folder / "vocab.txt"), unk_token=unknown)
    else:
        raise CheckpointError(
            f"{folder} has no vocabulary, neither in tokenizer.json nor in vocab.txt."
        )
    if words.token_to_id(unknown) is None:
        raise CheckpointError(f"{folder}: the vocabulary has no {unknown}, the unknown word.")
    return words


def read_added_tokens(
    folder: Path, settings: dict[str, Any], content: dict[str, Any], extra: list[AddedToken]
) -> dict[int, AddedToken]:
    """The added tokens by id: those the settings list, else those of the older files."""
    listed = setting(folder / "tokenizer_config.json", settings, "added_tokens_decoder", dict)
    if listed is None:
        older = folder / "added_tokens.json"
        named = {*special_texts(settings, {}).values(), *(token.content for token in extra)}
        listed = {
            id: {"content": text, "special": text in named}
            for text, id in (read_json(older, dict) if older.exists() else {}).items()
        }
        path = folder / "tokenizer.json"
        for token in setting(path, content, "added_tokens", list, []):
            listed[token.get("id") if isinstance(token, dict) else None] = token
    tokens = {}
    for id, token in listed.items():
        try:
            tokens[int(id)] = added_token(token, token["content"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{folder}: an added token is {token!r} with the id {id!r}; expected an object "
                "with a content, and a whole number."
            ) from error
    return tokens


def add_tokens(
    backend: Tokenizer,
    added: dict[int, AddedToken],
    settings: dict[str, Any],
    special: dict[str, str],
    extra: list[AddedToken],
) -> None:
    """Add the tokens that are found in a text before it is split, the special ones last."""
    tokens = [token for _, token in sorted(added.items())]
    known = {token.content for token in tokens}
    known |= {token.content for token in backend.get_added_tokens_decoder().values()}
    named = [added_token(settings.get(key), text) for key, text in special.items()]
    for token in [*named, *extra]:
        if token.content not in known:
            known.add(token.content)
            tokens.append(token)
    for token in tokens:
        token.special = token.special or token.content in special.values()
    backend.add_tokens(tokens)


def special_texts(settings: dict[str, Any], defaults: dict[str, str | None]) -> dict[str, str]:
    """The special tokens by name, in transformers' order; a folder may give one as an object."""
    texts = {key: token_text(settings.get(key)) or defaults.get(key) for key in SPECIAL_TOKENS}
    return {key: text for key, text in texts.items() if text}


def pad_token_of(content: dict[str, Any]) -> dict[str, str | None]:
    """The pad token that a tokenizer.json was left with, under its name."""
    padding = content.get("padding")
    return {"pad_token": padding.get("pad_token") if isinstance(padding, dict) else None}


def extra_tokens(path: Path, settings: dict[str, Any]) -> list[AddedToken]:
    """Special tokens beyond the usual names: a list, an object, or keys that end in _token."""
    extra = settings.get("extra_special_tokens") or settings.get("additional_special_tokens") or []
    if not isinstance(extra, list | dict):
        raise CheckpointError(f"{path}: the extra special tokens are {extra!r}; expected a list.")
    extra = list(extra.values()) if isinstance(extra, dict) else extra
    others = [
        value
        for key, value in settings.items()
        if key.endswith("_token") and key not in SPECIAL_TOKENS and isinstance(value, str)
    ]
    return [added_token(token, text) for token in [*others, *extra] if (text := token_text(token))]


def added_token(value: object, text: str) -> AddedToken:
    """A token with its flags, if a folder gives it as an object; else a special one."""
    flags = dict(value) if isinstance(value, dict) else {}
    for key in ("id", "__type", "content"):
        flags.pop(key, None)
    return AddedToken(text, **{"special": not flags, **flags})


def token_text(value: object) -> str:
    """A special token's text; a folder may give the token as an object."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def side_of(path: Path, settings: dict[str, Any], what: str, content: dict[str, Any]) -> str:
    """Where a text is cut or padded: as the settings say, else as tokenizer.json was left."""
    left_behind = content.get(what)
    default = left_behind.get("direction", "right") if isinstance(left_behind, dict) else "right"
    side: str = setting(path, settings, f"{what}_side", str, str(default).lower())
    if side not in ("left", "right"):
        raise CheckpointError(f"{path}: {what}_side is {side!r}, neither 'left' nor 'right'.")
    return side


def max_length(
    settings: dict[str, Any], transformer: TransformerSettings, max_position_embeddings: int
) -> int:
    """The most tokens a text may have. See load_tokenizer; never more than there are positions."""
    limit = transformer.max_seq_length
    if limit is None or "model_max_length" in transformer.tokenizer_args:
        limit = settings.get("model_max_length", settings.get("max_len", max_position_embeddings))
    # Folders write "no limit" as 1e30.
    if not is_count(limit) or limit >= max_position_embeddings:
        return max_position_embeddings
    return limit

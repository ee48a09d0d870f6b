"""A folder's vocabulary -> its tokenizer, set up as transformers sets it up.

Of tokenizer.json only the vocabulary and the added tokens count, not its truncation or padding;
lower-casing, accents and the maximum length stand in tokenizer_config.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from minibert.errors import CheckpointError
from minibert.folder import is_count, read_json, setting
from minibert.tokens import TextTokenizer

__all__ = ["load_tokenizer"]

TOKENIZER_CLASSES = {"BertTokenizer", "BertTokenizerFast"}
SPECIAL_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}


def load_tokenizer(
    folder: Path,
    *,
    vocab_size: int,
    max_position_embeddings: int,
    max_seq_length: int | None = None,
    do_lower_case: bool = False,
) -> TextTokenizer:
    """Build the tokenizer that transformers would build from a folder.

    `max_seq_length` is what sentence_bert_config.json says; without it the limit is the smaller of
    tokenizer_config.json's model_max_length and the model's positions. `do_lower_case` lower-cases
    before all else, for sentence-transformers' setting of that name.

    Raises CheckpointError for a missing vocabulary or a tokenizer that minibert does not build.
    """
    path = folder / "tokenizer_config.json"
    settings = read_settings(folder)
    kind = setting(path, settings, "tokenizer_class", str, "BertTokenizer")
    if kind not in TOKENIZER_CLASSES:
        raise CheckpointError(
            f"{folder}: tokenizer_class is {kind!r}; minibert builds {min(TOKENIZER_CLASSES)!r}."
        )
    if settings.get("truncation_side", "right") != "right":
        raise CheckpointError(f"{path}: truncation_side is not 'right'; minibert cuts texts there.")
    if settings.get("padding_side", "right") not in ("left", "right"):
        raise CheckpointError(f"{path}: padding_side is neither 'left' nor 'right'.")
    special = {key: token_text(settings.get(key), text) for key, text in SPECIAL_TOKENS.items()}
    model, added = read_vocabulary(folder, settings, special["unk_token"])
    backend = Tokenizer(model)
    backend.normalizer = normalizer_of(path, settings, do_lower_case)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    extra = settings.get("extra_special_tokens") or settings.get("additional_special_tokens") or []
    extra = [settings.get("bos_token"), settings.get("eos_token"), *extra]
    add_tokens(backend, added, [*special.values(), *(token_text(token, "") for token in extra)])
    vocabulary = backend.get_vocab(with_added_tokens=True)
    largest = max(vocabulary.values())
    if largest >= vocab_size:
        raise CheckpointError(
            f"{folder}: the vocabulary goes up to the id {largest}; the model has {vocab_size} "
            "word embeddings. The two files are not of one model."
        )
    cls, sep = special["cls_token"], special["sep_token"]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(cls, vocabulary[cls]), (sep, vocabulary[sep])],
    )
    return TextTokenizer(
        backend,
        max_length=max_length(settings, max_seq_length, max_position_embeddings),
        pad_id=vocabulary[special["pad_token"]],
        padding_side=settings.get("padding_side", "right"),
    )


def normalizer_of(
    path: Path, settings: dict[str, Any], do_lower_case: bool
) -> normalizers.Normalizer:
    """What happens to a text's characters before it is split."""
    # Lower case by default, also where the file is missing: so does the reference.
    lowercase = setting(path, settings, "do_lower_case", bool, True)
    bert = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=setting(path, settings, "tokenize_chinese_chars", bool, True),
        strip_accents=setting(path, settings, "strip_accents", bool),
        lowercase=lowercase,
    )
    if do_lower_case and not lowercase:
        return normalizers.Sequence([normalizers.Lowercase(), bert])
    return bert


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


def read_vocabulary(
    folder: Path, settings: dict[str, Any], unknown: str
) -> tuple[Any, dict[int, dict[str, Any]]]:
    """The WordPiece model and the added tokens, by id, of tokenizer.json or else vocab.txt."""
    path = folder / "tokenizer.json"
    content = read_json(path, dict) if path.exists() else {}
    listed = setting(folder / "tokenizer_config.json", settings, "added_tokens_decoder", dict)
    if listed is None:
        older = folder / "added_tokens.json"
        listed = {
            id: {"content": text, "special": text in SPECIAL_TOKENS.values()}
            for text, id in (read_json(older, dict) if older.exists() else {}).items()
        }
        listed |= {t["id"]: t for t in setting(path, content, "added_tokens", list, [])}
    added = {int(id): dict(token) for id, token in listed.items()}
    if content:
        model = setting(path, content, "model", dict, {})
        vocabulary = setting(path, model, "vocab", dict)
        if model.get("type", "WordPiece") != "WordPiece" or not vocabulary:
            raise CheckpointError(f"{path}: the model is no WordPiece with a vocabulary.")
        return WordPiece(vocabulary, unk_token=unknown), added
    if not (folder / "vocab.txt").exists():
        raise CheckpointError(f"{folder} has neither tokenizer.json nor vocab.txt.")
    return WordPiece.from_file(str(folder / "vocab.txt"), unk_token=unknown), added


def add_tokens(backend: Tokenizer, added: dict[int, dict[str, Any]], special: list[str]) -> None:
    """Add the tokens that are found in a text before it is split, the special ones last."""
    tokens = [
        AddedToken(**{key: value for key, value in token.items() if key not in ("id", "__type")})
        for _, token in sorted(added.items())
    ]
    listed = {token.content for token in tokens} | {""}
    tokens += [AddedToken(text, special=True) for text in special if text not in listed]
    backend.add_tokens(tokens)


def token_text(value: object, default: str) -> str:
    """A special token's text; a folder may give the token as an object."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) and value else default


def max_length(
    settings: dict[str, Any], max_seq_length: int | None, max_position_embeddings: int
) -> int:
    """The most tokens a text may have. See load_tokenizer; never more than there are positions."""
    limit = max_seq_length
    if limit is None:
        limit = settings.get("model_max_length", max_position_embeddings)
    # Folders write "no limit" as 1e30.
    if not is_count(limit) or limit >= max_position_embeddings:
        return max_position_embeddings
    return limit

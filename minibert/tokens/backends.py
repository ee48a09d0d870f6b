"""A folder's vocabulary -> a tokenizer of the `tokenizers` library, without special tokens.

A function for each way to split a text; `classes.py` says which class has which.
"""

from __future__ import annotations

import json
import math
from base64 import b64decode
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, Unigram, WordPiece

from minibert.common.advice import tokenizer_command
from minibert.common.json_files import is_there, read_text, setting
from minibert.errors import CheckpointError

__all__ = [
    "albert",
    "as_it_stands",
    "bert_subclass",
    "byte_level",
    "camembert",
    "funnel",
    "herbert",
    "splinter",
    "token_text",
    "word_piece",
    "xlm_roberta",
]

# The end of a word's last token in a HerBERT.
HERBERT_END = "</w>"


def word_piece(folder: Path, settings: dict[str, Any], content: dict[str, Any]) -> Tokenizer:
    """Build a BERT's tokenizer over the folder's vocabulary."""
    path = folder / "tokenizer_config.json"
    unknown = token_text(settings.get("unk_token")) or "[UNK]"
    backend = Tokenizer(word_piece_model(folder, content, unknown))
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=setting(path, settings, "tokenize_chinese_chars", bool, True),
        strip_accents=setting(path, settings, "strip_accents", bool),
        # Lower case by default, even without the file, as in the reference.
        lowercase=setting(path, settings, "do_lower_case", bool, True),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    return backend


def word_piece_model(folder: Path, content: dict[str, Any], unknown: str) -> WordPiece:
    """Read the WordPiece model of tokenizer.json, or of vocab.txt if `content` is empty."""
    path = folder / "tokenizer.json"
    if content:
        stored = setting(path, content, "model", dict, {})
        vocabulary = setting(path, stored, "vocab", dict)
        if stored.get("type", "WordPiece") != "WordPiece" or not vocabulary:
            raise CheckpointError(f"{path}: the model is no WordPiece with a vocabulary.")
        if set(map(type, vocabulary.values())) != {int} or min(vocabulary.values()) < 0:
            raise CheckpointError(f"{path}: the vocabulary has ids that are no whole numbers.")
        if max(vocabulary.values()) >= 1 << 32:
            raise CheckpointError(
                f"{path}: the vocabulary goes up to the id {max(vocabulary.values())}; "
                "expected ids below 2 ** 32."
            )
        model = WordPiece(vocabulary, unk_token=unknown)
    elif is_there(folder / "vocab.txt"):
        read_text(folder / "vocab.txt")  # the library names neither file nor line
        model = WordPiece.from_file(str(folder / "vocab.txt"), unk_token=unknown)
    else:
        raise CheckpointError(
            f"{folder} has no vocabulary, neither in tokenizer.json nor in vocab.txt."
        )
    if model.token_to_id(unknown) is None:
        raise CheckpointError(f"{folder}: the vocabulary has no {unknown}, the unknown word.")
    return model


def funnel(folder: Path, settings: dict[str, Any], content: dict[str, Any]) -> Tokenizer:
    """Build a Funnel's tokenizer: a BERT's, with another unknown word."""
    only(folder, settings, "FunnelTokenizer", {"clean_text": True, "wordpieces_prefix": "##"})
    return word_piece(folder, {"unk_token": "<unk>", **settings}, content)


def splinter(folder: Path, settings: dict[str, Any], content: dict[str, Any]) -> Tokenizer:
    """Build a Splinter's tokenizer: a BERT's; its pairs differ, see set_splinter_template."""
    only(folder, settings, "SplinterTokenizer", {"padding_side": "right"})
    return word_piece(folder, settings, content)


def only(
    folder: Path, settings: dict[str, Any], kind: str, expected: dict[str, str | bool]
) -> None:
    """Raise CheckpointError for a setting of a class with another value than is built."""
    for key, value in expected.items():
        if settings.get(key, value) != value:
            raise CheckpointError(
                f"{folder / 'tokenizer_config.json'}: {key} is {settings[key]!r:.80}; minibert "
                f"builds a {kind} with {value!r}."
            )


def herbert(folder: Path, settings: dict[str, Any], content: dict[str, Any]) -> Tokenizer:
    """Build a HerBERT's tokenizer: BPE of the words that a BERT splits a text into."""
    unknown = token_text(settings.get("unk_token")) or "<unk>"
    backend = Tokenizer(
        bpe_model(folder, content, unk_token=unknown, end_of_word_suffix=HERBERT_END)
    )
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=False
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.BPEDecoder(suffix=HERBERT_END)
    return backend


def byte_level(folder: Path, settings: dict[str, Any], content: dict[str, Any]) -> Tokenizer:
    """Build a RoBERTa's tokenizer: byte-level BPE of tokenizer.json, or of the older files."""
    backend = Tokenizer(
        bpe_model(folder, content, continuing_subword_prefix="", end_of_word_suffix="")
    )
    add_prefix_space = setting(
        folder / "tokenizer_config.json", settings, "add_prefix_space", bool, False
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    backend.decoder = decoders.ByteLevel()
    return backend


def bpe_model(folder: Path, content: dict[str, Any], **settings: str) -> BPE:
    """Read the BPE model of tokenizer.json, or of vocab.json and merges.txt without `content`.

    `settings` are the library's for a BPE. Raises CheckpointError for files that make none.
    """
    try:
        return read_bpe(folder, content, **settings)
    except CheckpointError:
        raise
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"{folder} has no BPE that can be built: {error}.") from error


def read_bpe(folder: Path, content: dict[str, Any], **settings: str) -> BPE:
    """Read the files of `bpe_model`; the library raises an Exception for content that is no BPE."""
    path = folder / "tokenizer.json"
    if content:
        stored = setting(path, content, "model", dict, {})
        vocabulary, merges = setting(path, stored, "vocab", dict), stored.get("merges")
        if stored.get("type", "BPE") != "BPE" or not vocabulary or not isinstance(merges, list):
            raise CheckpointError(f"{path}: the model is no BPE with a vocabulary and merges.")
        pairs = [tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in merges]
        return BPE(vocabulary, pairs, **settings)
    older = folder / "vocab.json", folder / "merges.txt"
    if all(map(is_there, older)):
        for file in older:
            read_text(file)
        return BPE.from_file(*map(str, older), **settings)
    raise CheckpointError(
        f"{folder} has no vocabulary, neither in tokenizer.json nor in vocab.json and merges.txt."
    )


def unigram(
    folder: Path, settings: dict[str, Any], content: dict[str, Any], unknown: int | str
) -> Tokenizer:
    """Build a tokenizer of sentencepiece: tokens with scores, a blank as a character of its own.

    `unknown` is the id of the unknown word, or its text.
    """
    path = folder / "tokenizer.json"
    if not content:
        command, written = tokenizer_command(folder)
        raise CheckpointError(
            f"{path} is missing, and a sentencepiece model alone is not read. Where transformers "
            f"and sentencepiece are installed, write one into a new folder, and copy {written}, "
            f"nothing else of it, into {folder}: {command}"
        )
    tokens = scored_tokens(path, setting(path, content, "model", dict, {}).get("vocab"))
    if not tokens:
        raise CheckpointError(f"{path}: the model is no Unigram with a vocabulary.")
    if isinstance(unknown, str):
        unknown = next((id for id, (token, _) in enumerate(tokens) if token == unknown), 0)
    if unknown >= len(tokens):
        raise CheckpointError(f"{path}: the vocabulary has {len(tokens)} tokens, too few.")
    backend = Tokenizer(Unigram(tokens, unk_id=unknown, byte_fallback=False))
    add_prefix_space = true_if_missing(
        folder / "tokenizer_config.json", settings, "add_prefix_space"
    )
    scheme = "always" if add_prefix_space else "never"
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme=scheme)]
    )
    backend.decoder = decoders.Metaspace(prepend_scheme=scheme)
    return backend


def scored_tokens(path: Path, vocabulary: object) -> list[tuple[str, float]]:
    """Check the tokens of a sentencepiece model with their scores, and return them."""
    try:
        tokens = [(token, float(score)) for token, score in vocabulary or ()]  # type: ignore
        if not all(isinstance(token, str) and math.isfinite(score) for token, score in tokens):
            raise ValueError("a token is no text, or a score no number")
    except (TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{path}: the vocabulary is no list of [token, score].") from error
    return tokens


def true_if_missing(path: Path, settings: dict[str, Any], key: str) -> bool:
    """Read a setting that is true where it is missing, and false where it is null."""
    # The reference gives its classes the same values.
    found: bool = setting(path, {key: True, **settings}, key, bool, False)
    return found


def xlm_roberta(folder: Path, settings: dict[str, Any], content: dict[str, Any]) -> Tokenizer:
    """Build an XLM-RoBERTa's tokenizer: Unigram, with only the table of the normalizer."""
    path, backend = folder / "tokenizer.json", unigram(folder, settings, content, 3)
    if table := character_table(path, content):
        backend.normalizer = table
    return backend


def camembert(folder: Path, settings: dict[str, Any], content: dict[str, Any]) -> Tokenizer:
    """Build a CamemBERT's tokenizer: the same, but the unknown word may have any id."""
    unknown = token_text(settings.get("unk_token")) or "<unk>"
    path, backend = folder / "tokenizer.json", unigram(folder, settings, content, unknown)
    if table := character_table(path, content):
        backend.normalizer = table
    return backend


def albert(folder: Path, settings: dict[str, Any], content: dict[str, Any]) -> Tokenizer:
    """Build an ALBERT's tokenizer: Unigram after the normalisation of ALBERT's first code."""
    path = folder / "tokenizer_config.json"
    backend = unigram(folder, settings, content, 1)
    steps: list[Any] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not setting(path, settings, "keep_accents", bool, False):
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if true_if_missing(path, settings, "do_lower_case"):
        steps.append(normalizers.Lowercase())
    if table := character_table(folder / "tokenizer.json", content):
        steps.append(table)
    backend.normalizer = normalizers.Sequence(steps)
    # Unlike the other classes, this one takes the special tokens around a text from the file.
    backend.post_processor = as_it_stands(folder, settings, content).post_processor
    return backend


def character_table(path: Path, content: dict[str, Any]) -> Any:
    """Table of characters that a sentencepiece model was trained with; None without one."""
    normalizer = setting(path, content, "normalizer", dict, {})
    for step in setting(path, normalizer, "normalizers", list, [normalizer]):
        if isinstance(step, dict) and step.get("type") == "Precompiled":
            try:
                return normalizers.Precompiled(b64decode(step["precompiled_charsmap"], None, True))
            except Exception as error:  # the library raises nothing narrower
                raise CheckpointError(
                    f"{path}: the normalizer's precompiled_charsmap is no table of characters."
                ) from error
    return None


def as_it_stands(folder: Path, settings: dict[str, Any], content: dict[str, Any]) -> Tokenizer:
    """Build the tokenizer of a tokenizer.json, without its truncation and padding."""
    if not content:
        raise CheckpointError(
            f"{folder / 'tokenizer.json'} is missing; the folder's tokenizer_class needs it."
        )
    character_table(folder / "tokenizer.json", content)  # in a broken one the library panics
    try:
        backend = Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"{folder / 'tokenizer.json'} is no tokenizer: {error}.") from error
    backend.no_truncation()
    backend.no_padding()
    return backend


def bert_subclass(folder: Path, settings: dict[str, Any], content: dict[str, Any]) -> Tokenizer:
    """Take a tokenizer.json as it stands, or build a BERT's tokenizer of older files."""
    return (as_it_stands if content else word_piece)(folder, settings, content)


def token_text(value: object) -> str | None:
    """Text of a special token, which a folder may give as an object; None without a text."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None

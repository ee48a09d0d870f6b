"""Classes of tokenizers that folders name, and the function that builds each: CLASSES.

transformers rebuilds most of them: it reads only the vocabulary and the added tokens of
tokenizer.json, and the class decides how a text is split. A few take tokenizer.json as it stands.
"""

from __future__ import annotations

import json
import math
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, Unigram, WordPiece

from minibert.common.advice import tokenizer_command
from minibert.common.json_files import is_there, read_text, setting
from minibert.errors import CheckpointError

__all__ = [
    "CLASSES",
    "SPECIAL_NAMES",
    "WITH_TYPES",
    "TokenizerClass",
    "bert_subclass",
    "token_text",
    "word_piece",
]

# A folder, its settings, the content of tokenizer.json or {} -> the tokenizer, without a template.
Build: TypeAlias = Callable[[Path, dict[str, Any], dict[str, Any]], Tokenizer]
# A tokenizer and its special tokens by name -> None; sets which stand around and between texts.
SetTemplate: TypeAlias = Callable[[Tokenizer, dict[str, str]], None]

# Names of the special tokens, in the order in which transformers adds them.
SPECIAL_NAMES = (
    *("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"),
)


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


def byte_level(folder: Path, settings: dict[str, Any], content: dict[str, Any]) -> Tokenizer:
    """Build a RoBERTa's tokenizer: byte-level BPE of tokenizer.json, or of the older files."""
    try:
        model = bpe_model(folder, content)
    except CheckpointError:
        raise
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"{folder} has no BPE that can be built: {error}.") from error
    backend = Tokenizer(model)
    add_prefix_space = setting(
        folder / "tokenizer_config.json", settings, "add_prefix_space", bool, False
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    backend.decoder = decoders.ByteLevel()
    return backend


def bpe_model(folder: Path, content: dict[str, Any]) -> BPE:
    """Read the BPE model of tokenizer.json, or of vocab.json and merges.txt without `content`."""
    path = folder / "tokenizer.json"
    if content:
        stored = setting(path, content, "model", dict, {})
        vocabulary, merges = setting(path, stored, "vocab", dict), stored.get("merges")
        if stored.get("type", "BPE") != "BPE" or not vocabulary or not isinstance(merges, list):
            raise CheckpointError(f"{path}: the model is no BPE with a vocabulary and merges.")
        pairs = [tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in merges]
        return BPE(vocabulary, pairs, continuing_subword_prefix="", end_of_word_suffix="")
    older = folder / "vocab.json", folder / "merges.txt"
    if all(map(is_there, older)):
        for file in older:
            read_text(file)
        return BPE.from_file(
            *map(str, older),
            continuing_subword_prefix="", end_of_word_suffix="",
        )  # fmt: skip
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


def set_bert_template(backend: Tokenizer, special: dict[str, str]) -> None:
    """Put [CLS] before a text and [SEP] behind it; a pair's second text has the type 1."""
    cls, sep = special["cls_token"], special["sep_token"]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(text, backend.token_to_id(text)) for text in (cls, sep)],
    )


def template_of(first: str, last: str) -> SetTemplate:
    """Make a function that puts <s> before a text, </s> behind it, two </s> between two texts.

    `first` and `last` are the names of the two special tokens, as "cls_token".
    """

    def set_template(backend: Tokenizer, special: dict[str, str]) -> None:
        begin, end = special[first], special[last]
        backend.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A {end}",
            pair=f"{begin} $A {end} {end} $B {end}",
            special_tokens=[(text, backend.token_to_id(text)) for text in (begin, end)],
        )

    return set_template


def set_albert_template(backend: Tokenizer, special: dict[str, str]) -> None:
    """Keep the special tokens of tokenizer.json, or else put those of a BERT."""
    if backend.post_processor is None:
        set_bert_template(backend, special)


def keep_template(backend: Tokenizer, special: dict[str, str]) -> None:
    """Keep the special tokens of tokenizer.json around a text."""


def token_text(value: object) -> str | None:
    """Text of a special token, which a folder may give as an object; None without a text."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None


WITH_TYPES = ("input_ids", "token_type_ids", "attention_mask")
WITHOUT_TYPES = ("input_ids", "attention_mask")
# Special tokens of a BERT, of a RoBERTa, of an ALBERT.
OF_BERT = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
OF_ROBERTA = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
OF_ALBERT = {
    **OF_BERT,
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
}


class TokenizerClass(NamedTuple):
    """Functions and settings that build a tokenizer; the defaults are BertTokenizer's."""

    build: Build = word_piece  # builds all but the special tokens
    set_template: SetTemplate = set_bert_template  # puts special tokens around texts
    input_names: tuple[str, ...] = WITH_TYPES  # in the order of transformers' own output
    special_tokens: dict[str, str] = OF_BERT  # by name; a folder may name others
    extra_special_tokens: tuple[str, ...] = ()  # for a folder that names none


AS_ROBERTA = template_of("cls_token", "sep_token")
BERT = TokenizerClass()
BERT_SUBCLASS = TokenizerClass(bert_subclass)
AS_IT_STANDS = TokenizerClass(as_it_stands, keep_template, WITHOUT_TYPES, {})
AS_XLM_ROBERTA = template_of("bos_token", "eos_token")
XLM_ROBERTA = TokenizerClass(xlm_roberta, AS_XLM_ROBERTA, WITHOUT_TYPES, OF_ROBERTA)

# tokenizer_class in tokenizer_config.json, without "Fast" at its end -> its row.
CLASSES: dict[str, TokenizerClass] = {
    "BertTokenizer": BERT,
    "DistilBertTokenizer": BERT._replace(input_names=WITHOUT_TYPES),
    # Other names for BertTokenizer in transformers.
    "ElectraTokenizer": BERT,
    "LayoutLMTokenizer": BERT,
    "LxmertTokenizer": BERT,
    "MobileBertTokenizer": BERT,
    "SqueezeBertTokenizer": BERT,
    # Subclasses that take a tokenizer.json as it stands, except [CLS] and [SEP].
    "ConvBertTokenizer": BERT_SUBCLASS,
    "DPRContextEncoderTokenizer": BERT_SUBCLASS,
    "DPRQuestionEncoderTokenizer": BERT_SUBCLASS,
    "PreTrainedTokenizer": AS_IT_STANDS,
    "TokenizersBackend": AS_IT_STANDS,
    "RobertaTokenizer": TokenizerClass(byte_level, AS_ROBERTA, WITHOUT_TYPES, OF_ROBERTA),
    "MPNetTokenizer": TokenizerClass(
        word_piece, AS_ROBERTA, WITHOUT_TYPES, {**OF_ROBERTA, "unk_token": "[UNK]"}
    ),
    "XLMRobertaTokenizer": XLM_ROBERTA,
    "CamembertTokenizer": XLM_ROBERTA._replace(
        build=camembert, extra_special_tokens=("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED")
    ),
    "AlbertTokenizer": TokenizerClass(albert, set_albert_template, WITHOUT_TYPES, OF_ALBERT),
}

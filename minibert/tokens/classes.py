"""Classes of tokenizers that folders name, and the functions that build each: CLASSES.

transformers rebuilds most of them: it reads only the vocabulary and the added tokens of
tokenizer.json, and the class decides how a text is split. A few take tokenizer.json as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from tokenizers import Tokenizer

from minibert.tokens.backends import (
    albert,
    as_it_stands,
    bert_subclass,
    byte_level,
    camembert,
    funnel,
    herbert,
    splinter,
    word_piece,
    xlm_roberta,
)
from minibert.tokens.templates import (
    SetTemplate,
    keep_template,
    set_albert_template,
    set_bert_template,
    set_funnel_template,
    set_herbert_template,
    set_splinter_template,
    template_of,
)

__all__ = [
    "AS_IT_STANDS",
    "CLASSES",
    "NOT_BUILT",
    "SPECIAL_NAMES",
    "WITH_TYPES",
    "TokenizerClass",
]

# A folder, its settings, the content of tokenizer.json or {} -> the tokenizer, without a template.
Build: TypeAlias = Callable[[Path, dict[str, Any], dict[str, Any]], Tokenizer]

# Names of the special tokens, in the order in which transformers adds them.
SPECIAL_NAMES = (
    *("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"),
    "question_token",  # of a Splinter
)

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
OF_SPLINTER = {**OF_BERT, "question_token": "[QUESTION]"}
OF_FUNNEL = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "<sep>",
    "pad_token": "<pad>",
    "cls_token": "<cls>",
    "mask_token": "<mask>",
}
OF_HERBERT = {name: OF_ROBERTA[name] for name in OF_BERT}


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
    # WordPiece with special tokens, or with a pair's, of its own.
    "FunnelTokenizer": TokenizerClass(funnel, set_funnel_template, WITHOUT_TYPES, OF_FUNNEL),
    "SplinterTokenizer": TokenizerClass(
        splinter, set_splinter_template, WITHOUT_TYPES, OF_SPLINTER
    ),
    "HerbertTokenizer": TokenizerClass(herbert, set_herbert_template, WITHOUT_TYPES, OF_HERBERT),
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

# Other classes of transformers 5, by their names without "Tokenizer": each splits a text in its own
# way, which is not built. A name that is neither here nor in CLASSES is no class of transformers;
# it then takes tokenizer.json as it stands.
NOT_BUILT = frozenset(
    [
        *("Auto", "Bart", "Barthez", "Bartpho", "Basic", "BertGeneration", "BertJapanese"),
        *("Bertweet", "BigBird", "BioGpt", "BlenderbotSmall", "Blenderbot", "ByT5", "CLIP"),
        *("CTRL", "Canine", "Character", "Clvp", "CodeGen", "CodeLlama", "Cohere", "CpmAnt"),
        *("Cpm", "DPRReader", "Deberta", "DebertaV2", "Dia", "Esm", "Esmc", "FNet", "FSMT"),
        *("FastSpeech2Conformer", "Flaubert", "GPT2", "GPTNeoXJapanese", "GPTNeoX", "GPTSw3"),
        *("Gemma", "LED", "Lasr", "LayoutLMv2", "LayoutLMv3", "LayoutXLM", "Llama", "Luke"),
        *("M2M100", "MBart50", "MBart", "MLuke", "Marian", "MarkupLM", "Mecab", "Mgpstr", "Mvp"),
        *("MyT5", "Nllb", "Nougat", "OpenAIGPT", "PLBart", "Parakeet", "Pegasus", "Perceiver"),
        *("Phobert", "Pop2Piano", "ProphetNet", "Qwen2", "Qwen3_5", "Rag", "Reformer", "RemBert"),
        *("RoCBert", "RoFormer", "SeamlessM4T", "Siglip2", "Siglip", "Speech2Text", "SpeechT5"),
        *("T5", "Tapas", "Tipsv2", "Udop", "VideoPrism", "Vits", "Wav2Vec2CTC"),
        *("Wav2Vec2PhonemeCTC", "Whisper", "Wordpiece", "XGLM", "XLM", "XLNet"),
    ]
)

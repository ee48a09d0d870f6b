"""Tiny, awkward models and vocabularies for the golden files and the live tests.

Every parameter is drawn with a standard deviation of 0.5, so that no bias is 0, no gain is 1, and a
tanh in place of erf, another epsilon or a lost mask shows far above rounding. Sizes divide
unevenly on purpose. `FAMILIES` has those beside BERT, each with a tokenizer of its own kind.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import transformers
from tokenizers.pre_tokenizers import ByteLevel
from transformers import BertConfig, BertTokenizer

SIZES = {
    "hidden_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 5,
    "intermediate_size": 37,
    "max_position_embeddings": 41,
    "type_vocab_size": 3,
}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
WORDS = ["the", "cat", "dog", "sat", "barks", "Cat", "London", "##s", "##ing", "##at", "café", "中"]
MARKS = list(".,!?-'()$") + ["é", "1", "9", "α", "ω"]
VOCABULARY = SPECIAL + WORDS + MARKS + LETTERS + [f"##{letter}" for letter in LETTERS]


def awkward(model: torch.nn.Module, deviation: float = 0.5) -> torch.nn.Module:
    """Draw every parameter, around 1 for the gains of layer norms, else around 0."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            gain = name.lower().endswith("norm.weight")
            parameter.copy_(torch.randn_like(parameter) * deviation + float(gain))
    return model.eval()


def config(**changes: object) -> BertConfig:
    """Make a tiny model's configuration."""
    return BertConfig(vocab_size=len(VOCABULARY), **{**SIZES, **changes})


def tokenizer(**settings: object) -> BertTokenizer:
    """Make a tiny vocabulary, as transformers saves it."""
    vocabulary = {token: number for number, token in enumerate(VOCABULARY)}
    return BertTokenizer(vocab=vocabulary, model_max_length=41, **settings)


COMMON = {key: value for key, value in SIZES.items() if key != "type_vocab_size"}
# Positions begin at 2 in these families: 41 are left.
BEHIND_PADDING = {**COMMON, "max_position_embeddings": 43, "layer_norm_eps": 1e-5}
ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
MERGES = "t h|th e|Ġ the|c a|ca t|Ġ cat|Ġ s|Ġs a|Ġsa t|d o|do g|Ġ dog|b a|r k|rk s|Ġ a|n d|Ġa nd"
PIECES = [
    "▁",
    "▁the",
    "▁cat",
    "▁dog",
    "▁sat",
    "▁a",
    "the",
    "cat",
    "ing",
    "at",
    "and",
    "▁Lon",
    "don",
]
MAX_LENGTH = {"model_max_length": 41}


def byte_level(**settings):
    """Make a RoBERTa's tokenizer: all bytes, and a few merges of them."""
    merges = [tuple(merge.split()) for merge in MERGES.split("|")]
    words = [*ROBERTA_SPECIAL, *sorted(ByteLevel.alphabet()), *map("".join, merges), "<mask>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    return transformers.RobertaTokenizer(vocab=vocabulary, merges=merges, **MAX_LENGTH, **settings)


def pieces(special, last=()):
    """Make sentencepiece tokens with scores, higher for longer ones."""
    words = [*PIECES, *LETTERS, *MARKS, *"DCLACT"]
    scored = [
        (word, -8.0 + 1.7 * len(word) - 0.01 * n) for n, word in enumerate(dict.fromkeys(words))
    ]
    return [(word, 0.0) for word in special] + scored + [(word, 0.0) for word in last]


def xlm_roberta(**settings):
    vocabulary = pieces(ROBERTA_SPECIAL, ["<mask>"])
    return transformers.XLMRobertaTokenizer(vocab=vocabulary, **MAX_LENGTH, **settings)


def camembert(**settings):
    special = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>"]
    vocabulary = pieces(special, ["<mask>"])
    return transformers.CamembertTokenizer(vocab=vocabulary, **MAX_LENGTH, **settings)


def albert(**settings):
    vocabulary = pieces(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"])
    return transformers.AlbertTokenizer(vocab=vocabulary, **MAX_LENGTH, **settings)


def mpnet(**settings):
    words = ["<s>", "<pad>", "</s>", "[UNK]", *VOCABULARY[5:], "<mask>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    return transformers.MPNetTokenizer(vocab=vocabulary, **MAX_LENGTH, **settings)


class Family(NamedTuple):
    """A recipe for a family's tiny models."""

    kind: str  # the beginning of its class names in transformers
    words: Callable[..., Any]
    settings: dict[str, Any]

    def config(self, **changes):
        made = getattr(transformers, f"{self.kind}Config")
        size = max(self.words().get_vocab().values()) + 1
        return made(vocab_size=size, **{**self.settings, **changes})

    def model(self, **changes):
        return getattr(transformers, f"{self.kind}Model")(self.config(**changes))

    def classifier(self, labels=1, **changes):
        made = getattr(transformers, f"{self.kind}ForSequenceClassification")
        return made(self.config(num_labels=labels, **changes))


def distilbert_tokenizer(**settings):
    words = {word: number for number, word in enumerate(VOCABULARY)}
    return transformers.DistilBertTokenizer(vocab=words, **MAX_LENGTH, **settings)


def fast_tokenizer():
    """Make a BERT's vocabulary under the class that takes tokenizer.json unchanged."""
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "pad", "unk", "mask")}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer().backend_tokenizer, **MAX_LENGTH, **names
    )


BERT_IDS = {
    "pad_token_id": 0, "cls_token_id": 2, "bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3,
}  # fmt: skip
ROPE = {"rope_type": "default", "rope_theta": 50.0}
FAMILIES = {
    "roberta": Family("Roberta", byte_level, {**BEHIND_PADDING, "type_vocab_size": 1}),
    "xlm_roberta": Family("XLMRoberta", xlm_roberta, {**BEHIND_PADDING, "type_vocab_size": 1}),
    "camembert": Family(
        "Camembert", camembert,
        {**BEHIND_PADDING, "type_vocab_size": 1, "bos_token_id": 5, "eos_token_id": 6},
    ),
    "distilbert": Family(
        "DistilBert", distilbert_tokenizer,
        {"dim": 20, "n_layers": 3, "n_heads": 5, "hidden_dim": 37, "activation": "relu",
         "max_position_embeddings": 41},
    ),
    "electra": Family("Electra", tokenizer, {**SIZES, "embedding_size": 12}),
    "mpnet": Family("MPNet", mpnet, BEHIND_PADDING),
    "albert": Family(
        "Albert", albert,
        {**SIZES, "embedding_size": 12, "num_hidden_groups": 2,
         "hidden_act": "gelu_new"},
    ),
    "modernbert": Family(
        "ModernBert", fast_tokenizer,
        {**COMMON, "hidden_size": 20, "num_attention_heads": 5, "num_hidden_layers": 4,
         "local_attention": 8, "norm_bias": True, **BERT_IDS},
    ),
    "nomic_bert": Family("NomicBert", tokenizer, {**SIZES, "rope_parameters": ROPE}),
}  # fmt: skip

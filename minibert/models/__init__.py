"""Classes that users load: tokens, BERT and pooling joined.

In reading order:

- sentence_transformer: SentenceTransformer, texts -> vectors, under the reference's names
- sentence_names, reference_names: methods for programs of the reference alone
- model_config: the settings of config.json under transformers' names
- foreign_arguments, tensors: arguments of the reference that are meant for torch, and its tensors
- job: the settings of one call, made once
- signatures: types of arguments and results, for type checkers
- encoding: texts, a job -> vectors, token states, or both
- parts: a folder, or modules of a program -> the Transformer and the settings of a model
- transformer: texts -> rows of tokens -> packs
- static_embedding: a table of word embeddings in its place
- scheduler: packs -> hidden states -> results, on any device
- model: what a SentenceTransformer and a CrossEncoder share
- cross_encoder, classifier, score_activations: pairs of texts -> scores
- masked_lm: a text with [MASK] -> words
- bert_model, model_output, hf_tokenizer: BERT and its tokenizer under transformers' names
- tokenizer_call, batch_encoding: arguments and results of that tokenizer
- reference_util: small functions of sentence-transformers' util
- paraphrases: texts, a model -> the pairs that mean the same
- merging: several models -> one with the means of their weights
- trainable, room: the tensors of a model and their gradients, as training sees them
- trace: every intermediate array of one text
- processes: several processes, each with a copy of a model

The names below are those of sentence_transformers.models: the classes of model[0], model[1] and so
on. All but the first module, a Transformer or a StaticEmbedding, are settings.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minibert.models.static_embedding import StaticEmbedding
    from minibert.models.transformer import Transformer
    from minibert.pooling.dense import Dense
    from minibert.pooling.dropout import Dropout
    from minibert.pooling.layer_norm import LayerNorm
    from minibert.pooling.normalize import Normalize
    from minibert.pooling.pooling import Pooling
    from minibert.pooling.weighted_layers import WeightedLayerPooling

__all__ = [
    "Dense",
    "Dropout",
    "LayerNorm",
    "Normalize",
    "Pooling",
    "StaticEmbedding",
    "Transformer",
    "WeightedLayerPooling",
]

# A name -> its module, which is loaded at the name's first use.
LAZY_NAMES = {
    "Dense": "minibert.pooling.dense",
    "Dropout": "minibert.pooling.dropout",
    "LayerNorm": "minibert.pooling.layer_norm",
    "Normalize": "minibert.pooling.normalize",
    "Pooling": "minibert.pooling.pooling",
    "StaticEmbedding": "minibert.models.static_embedding",
    "Transformer": "minibert.models.transformer",
    "WeightedLayerPooling": "minibert.pooling.weighted_layers",
}


def __getattr__(name: str) -> object:
    """Load a public name of the table."""
    if name not in LAZY_NAMES:
        raise AttributeError(f"module 'minibert.models' has no attribute {name!r}")
    return getattr(import_module(LAZY_NAMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

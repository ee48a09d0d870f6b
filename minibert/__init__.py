"""BERT sentence embeddings in NumPy: text in, vectors out, no torch.

    texts --tokens/--> token ids --bert/--> hidden states --pooling/--> vectors --scoring/--> scores

`kernels/` does the arithmetic, `checkpoint/` finds, reads and saves the files, `models/` joins the
four arrows into the classes that users load. The forward pass is `minibert.bert.forward`; start
there. `minibert.training` goes back through it and trains a model. Words such as pack, bucket and
hook are in the glossary: docs/architecture.md#glossary.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from minibert.errors import (
    CheckpointError,
    CorpusError,
    DeviceError,
    ListenError,
    MinibertError,
    MissingLibraryError,
    ModelUnavailableError,
    OutputError,
    TrainingError,
    UnsavedError,
)

if TYPE_CHECKING:
    from minibert import losses, util
    from minibert.checkpoint.convert import convert
    from minibert.checkpoint.layers import keep_layers
    from minibert.common.progress import LoggingHandler
    from minibert.corpus.corpus import Corpus
    from minibert.corpus.search import Index
    from minibert.models.bert_model import BertModel
    from minibert.models.bert_model import BertModel as AutoModel
    from minibert.models.cross_encoder import CrossEncoder
    from minibert.models.hf_tokenizer import Tokenizer
    from minibert.models.hf_tokenizer import Tokenizer as AutoTokenizer
    from minibert.models.masked_lm import BertForMaskedLM, fill_mask
    from minibert.models.sentence_transformer import SentenceTransformer
    from minibert.scoring.quantization import quantize_embeddings
    from minibert.scoring.semantic_search import semantic_search
    from minibert.scoring.similarity import SimilarityFunction, cos_sim, dot_score
    from minibert.training.loader import InputExample

__all__ = [
    "AutoModel",
    "AutoTokenizer",
    "BertForMaskedLM",
    "BertModel",
    "CheckpointError",
    "Corpus",
    "CorpusError",
    "CrossEncoder",
    "DeviceError",
    "Index",
    "InputExample",
    "ListenError",
    "LoggingHandler",
    "MinibertError",
    "MissingLibraryError",
    "ModelUnavailableError",
    "OutputError",
    "SentenceTransformer",
    "SimilarityFunction",
    "Tokenizer",
    "TrainingError",
    "UnsavedError",
    "convert",
    "cos_sim",
    "dot_score",
    "fill_mask",
    "keep_layers",
    "losses",
    "quantize_embeddings",
    "semantic_search",
    "util",
]
__version__ = "0.1.0"

# A public name -> its module, and its name there; "" is the module itself. Each is loaded at its
# first use, so that a program waits only for modules that it uses.
LAZY_NAMES = {
    "AutoModel": ("minibert.models.bert_model", "BertModel"),
    "AutoTokenizer": ("minibert.models.hf_tokenizer", "Tokenizer"),
    "BertForMaskedLM": ("minibert.models.masked_lm", "BertForMaskedLM"),
    "BertModel": ("minibert.models.bert_model", "BertModel"),
    "Corpus": ("minibert.corpus.corpus", "Corpus"),
    "CrossEncoder": ("minibert.models.cross_encoder", "CrossEncoder"),
    "Index": ("minibert.corpus.search", "Index"),
    "InputExample": ("minibert.training.loader", "InputExample"),
    "LoggingHandler": ("minibert.common.progress", "LoggingHandler"),
    "SentenceTransformer": ("minibert.models.sentence_transformer", "SentenceTransformer"),
    "SimilarityFunction": ("minibert.scoring.similarity", "SimilarityFunction"),
    "Tokenizer": ("minibert.models.hf_tokenizer", "Tokenizer"),
    "convert": ("minibert.checkpoint.convert", "convert"),
    "cos_sim": ("minibert.scoring.similarity", "cos_sim"),
    "dot_score": ("minibert.scoring.similarity", "dot_score"),
    "fill_mask": ("minibert.models.masked_lm", "fill_mask"),
    "keep_layers": ("minibert.checkpoint.layers", "keep_layers"),
    "losses": ("minibert.losses", ""),
    "quantize_embeddings": ("minibert.scoring.quantization", "quantize_embeddings"),
    "semantic_search": ("minibert.scoring.semantic_search", "semantic_search"),
    "util": ("minibert.util", ""),
}


def __getattr__(name: str) -> object:
    """Load a public name of the table."""
    if name not in LAZY_NAMES:
        raise AttributeError(f"module 'minibert' has no attribute {name!r}")
    place, attribute = LAZY_NAMES[name]
    module = import_module(place)
    return getattr(module, attribute) if attribute else module


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})

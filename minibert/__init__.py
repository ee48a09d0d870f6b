"""BERT sentence embeddings in NumPy: text in, vectors out, no torch.

The forward pass is `minibert.bert`; start there.
"""

from typing import TYPE_CHECKING

from minibert.encoder import SentenceTransformer
from minibert.errors import (
    CheckpointError,
    CorpusError,
    DeviceError,
    MissingLibraryError,
    ModelUnavailableError,
)
from minibert.quantization import quantize_embeddings
from minibert.ranking import semantic_search
from minibert.scores import SimilarityFunction, cos_sim, dot_score

if TYPE_CHECKING:
    from minibert import util
    from minibert.converting import convert
    from minibert.corpus import Corpus
    from minibert.cross_encoder import CrossEncoder
    from minibert.masked_lm import BertForMaskedLM, fill_mask
    from minibert.padded import BertModel, Tokenizer
    from minibert.padded import BertModel as AutoModel
    from minibert.padded import Tokenizer as AutoTokenizer

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
    "MissingLibraryError",
    "ModelUnavailableError",
    "SentenceTransformer",
    "SimilarityFunction",
    "Tokenizer",
    "convert",
    "cos_sim",
    "dot_score",
    "fill_mask",
    "quantize_embeddings",
    "semantic_search",
    "util",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load what not every program needs at its first use."""
    # PEP 562: a program that only encodes starts sooner for it.
    if name in ("AutoModel", "BertModel"):
        from minibert.padded import BertModel

        return BertModel
    if name in ("AutoTokenizer", "Tokenizer"):
        from minibert.padded import Tokenizer

        return Tokenizer
    if name == "convert":
        from minibert.converting import convert

        return convert
    if name == "Corpus":
        from minibert.corpus import Corpus

        return Corpus
    if name == "CrossEncoder":
        from minibert.cross_encoder import CrossEncoder

        return CrossEncoder
    if name in ("BertForMaskedLM", "fill_mask"):
        from minibert import masked_lm

        return getattr(masked_lm, name)
    if name == "util":
        import minibert.util

        return minibert.util
    raise AttributeError(f"module 'minibert' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

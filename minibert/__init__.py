"""BERT sentence embeddings in NumPy: text in, vectors out, no torch.

The forward pass is `minibert.bert.forward`; start there.
"""

from typing import TYPE_CHECKING

from minibert.errors import (
    CheckpointError,
    CorpusError,
    DeviceError,
    MissingLibraryError,
    ModelUnavailableError,
)
from minibert.models.sentence_transformer import SentenceTransformer
from minibert.scoring.nearest import semantic_search
from minibert.scoring.quantization import quantize_embeddings
from minibert.scoring.similarity import SimilarityFunction, cos_sim, dot_score

if TYPE_CHECKING:
    from minibert import util
    from minibert.checkpoint.convert import convert
    from minibert.corpus.corpus import Corpus
    from minibert.models.bert_model import BertModel
    from minibert.models.bert_model import BertModel as AutoModel
    from minibert.models.cross_encoder import CrossEncoder
    from minibert.models.hf_tokenizer import Tokenizer
    from minibert.models.hf_tokenizer import Tokenizer as AutoTokenizer
    from minibert.models.masked_lm import BertForMaskedLM, fill_mask

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
        from minibert.models.bert_model import BertModel

        return BertModel
    if name in ("AutoTokenizer", "Tokenizer"):
        from minibert.models.hf_tokenizer import Tokenizer

        return Tokenizer
    if name == "convert":
        from minibert.checkpoint.convert import convert

        return convert
    if name == "Corpus":
        from minibert.corpus.corpus import Corpus

        return Corpus
    if name == "CrossEncoder":
        from minibert.models.cross_encoder import CrossEncoder

        return CrossEncoder
    if name in ("BertForMaskedLM", "fill_mask"):
        from minibert.models import masked_lm

        return getattr(masked_lm, name)
    if name == "util":
        import minibert.util

        return minibert.util
    raise AttributeError(f"module 'minibert' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""BERT sentence embeddings in NumPy: text in, vectors out, no torch.

The forward pass is `minibert.bert`; start there.
"""

from minibert import util
from minibert.devices import DeviceError
from minibert.encoder import SentenceTransformer
from minibert.folder import CheckpointError
from minibert.hub import ModelUnavailableError
from minibert.padded import BertModel, Tokenizer
from minibert.scores import cos_sim, dot_score

# The names under which transformers' users know the same two.
AutoModel = BertModel
AutoTokenizer = Tokenizer

__all__ = [
    "AutoModel",
    "AutoTokenizer",
    "BertModel",
    "CheckpointError",
    "DeviceError",
    "ModelUnavailableError",
    "SentenceTransformer",
    "Tokenizer",
    "cos_sim",
    "dot_score",
    "util",
]
__version__ = "0.1.0"

"""Names of sentence-transformers' `util` that minibert has. All are defined elsewhere."""

from typing import TYPE_CHECKING

from minibert.checkpoint.model_paths import (
    is_sentence_transformer_model,
    load_dir_path,
    load_file_path,
)
from minibert.common.arguments import fullname
from minibert.common.download import http_get
from minibert.common.progress import LoggingHandler
from minibert.models.paraphrases import paraphrase_mining
from minibert.models.reference_util import (
    disable_logging,
    get_device_name,
    truncate_embeddings,
)
from minibert.scoring.late_interaction import (
    maxsim,
    maxsim_pairwise,
    mean_maxsim,
    mean_maxsim_pairwise,
)
from minibert.scoring.mining import community_detection, paraphrase_mining_embeddings
from minibert.scoring.quantization import quantize_embeddings
from minibert.scoring.semantic_search import semantic_search
from minibert.scoring.semantic_search import semantic_search as information_retrieval
from minibert.scoring.similarity import (
    SimilarityFunction,
    cos_sim,
    dot_score,
    euclidean_sim,
    manhattan_sim,
    normalize_embeddings,
    pairwise_angle_sim,
    pairwise_cos_sim,
    pairwise_dot_score,
    pairwise_euclidean_sim,
    pairwise_manhattan_sim,
)
from minibert.scoring.similarity import cos_sim as pytorch_cos_sim

if TYPE_CHECKING:
    from minibert.training.hard_negatives import mine_hard_negatives

__all__ = [
    "LoggingHandler",
    "SimilarityFunction",
    "community_detection",
    "cos_sim",
    "disable_logging",
    "dot_score",
    "euclidean_sim",
    "fullname",
    "get_device_name",
    "http_get",
    "information_retrieval",
    "is_sentence_transformer_model",
    "load_dir_path",
    "load_file_path",
    "manhattan_sim",
    "maxsim",
    "maxsim_pairwise",
    "mean_maxsim",
    "mean_maxsim_pairwise",
    "mine_hard_negatives",
    "normalize_embeddings",
    "pairwise_angle_sim",
    "pairwise_cos_sim",
    "pairwise_dot_score",
    "pairwise_euclidean_sim",
    "pairwise_manhattan_sim",
    "paraphrase_mining",
    "paraphrase_mining_embeddings",
    "pytorch_cos_sim",
    "quantize_embeddings",
    "semantic_search",
    "truncate_embeddings",
]


def __getattr__(name: str) -> object:
    """Load the function that belongs to training, which other programs need not wait for."""
    if name != "mine_hard_negatives":
        raise AttributeError(f"module 'minibert.util' has no attribute {name!r}")
    from minibert.training.hard_negatives import mine_hard_negatives

    return mine_hard_negatives


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

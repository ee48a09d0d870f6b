"""MSE: vectors, as a teacher has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minibert.common.arrays import Array
from minibert.training.losses.loss import Label, Loss, as_labels, check_columns, check_only

__all__ = ["MSELoss"]


class MSELoss(Loss):
    """Squared error of the vectors of texts, of any number of columns.

    mean over the examples, the numbers of a vector, and the columns, of (u - y)^2: Reimers and
    Gurevych, "Making Monolingual Sentence Embeddings Multilingual using Knowledge Distillation"
    (2020), section 2. The labels y are a teacher's vectors: (B, D) for all columns, as for a
    sentence and its translation, or (B, columns, D).

    `projection_dim` is None; nothing else is computed. Raises ValueError for another one.
    """

    description = "texts of one or several columns; their vectors, as a teacher has them"
    columns = (1, None)
    label: Label = "vectors"
    is_mean = True
    in_batch_negatives = False

    def __init__(self, model: object = None, projection_dim: None = None) -> None:
        check_only(self, None, projection_dim=projection_dim)
        self.model = model  # as given; it is not used

    def check(self, columns: int, labels: Array | None, examples: int) -> None:
        """Raise ValueError for columns or labels that do not fit."""
        check_columns(self, columns)
        self._teacher_vectors(labels, examples, columns)

    def __call__(self, vectors: Sequence[Array], labels: Array | None) -> tuple[float, list[Array]]:
        """Compute the loss and its gradients: columns of (B, D) -> as many (B, D)."""
        examples, dimension = vectors[0].shape
        teacher_vectors = self._teacher_vectors(labels, examples, len(vectors))
        if teacher_vectors.shape[2] != dimension:
            raise ValueError(
                f"The labels are vectors of {teacher_vectors.shape[2]} dimensions, and those of "
                f"the model have {dimension}; MSELoss needs a teacher with as many."
            )
        errors = np.stack(vectors) - teacher_vectors.astype(vectors[0].dtype)
        loss = float(np.square(errors).mean(dtype=np.float64))
        return loss, [*(errors * (2 / errors.size))]

    def get_config_dict(self) -> dict[str, object]:
        """Return the settings as in sentence-transformers, for the model card."""
        return {"projection_dim": None}

    def _teacher_vectors(self, labels: Array | None, examples: int, columns: int) -> Array:
        """Convert labels to vectors: -> (1 or columns, B, D). Raises ValueError for others."""
        found = as_labels(self, labels, examples)
        if found.ndim == 2:
            return found[None]
        if found.ndim == 3 and found.shape[1] == columns:
            return found.swapaxes(0, 1)
        raise ValueError(
            f"The labels have the shape {found.shape}; MSELoss needs a vector for each example, "
            f"({examples}, D), or one for each of its texts, ({examples}, {columns}, D)."
        )

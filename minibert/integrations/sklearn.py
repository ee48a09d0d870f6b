"""A transformer from texts to vectors for scikit-learn (https://scikit-learn.org).

from minibert.integrations.sklearn import MinibertTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

vectors = MinibertTransformer("sentence-transformers/all-MiniLM-L6-v2")
classifier = make_pipeline(vectors, LogisticRegression())
classifier.fit(["I liked it.", "I hated it."], ["good", "bad"])
"""

from __future__ import annotations

import os
from typing import Any, Literal, Self

import numpy as np

from minibert import SentenceTransformer
from minibert.common.advice import needing
from minibert.common.arguments import check_choice
from minibert.integrations.stored_model import check_sample, sample_of

with needing("scikit-learn", "minibert.integrations.sklearn", at_least="1.6"):
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils import Tags

__all__ = ["MinibertTransformer"]

# Arguments of the class that are encode's own; "task" chooses the method, and all others are
# SentenceTransformer's.
OF_ENCODE = ("prompt_name", "prompt", "normalize_embeddings")
FIT_AGAIN = (
    "The steps after it were fitted to the vectors of that model. Put its files back, or fit the "
    "pipeline again."
)


class MinibertTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A model as a step of a Pipeline: n texts -> (n, D) float32.

    Texts are a list, an array, or one column of a table. Nothing is learnt: fit() opens the model,
    and so does transform() if it comes first. Clones and pickles hold the model's name and the
    arguments, not the weights. A pickle of a fitted transformer has a sample of its vectors, too.
    """

    model_: SentenceTransformer  # model of the vectors, once it is opened
    sample_: list[float]  # of the vectors of the fitted model

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        *,
        task: Literal["query", "document"] | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        normalize_embeddings: bool = False,
        device: str | None = None,
        prompts: dict[str, str] | None = None,
        default_prompt_name: str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        truncate_dim: int | None = None,
        threads: int | None = None,
        on_long: Literal["warn", "error", "ignore", "window"] = "warn",
        reproducible: bool = False,
        short_inputs: bool = True,
        dtype: object = None,
    ) -> None:
        """Name a folder or a model of the hub; all arguments may be set later by set_params().

        `task` chooses encode_query() or encode_document(); None is encode(), with the model's
        default prompt. `prompt_name`, `prompt` and `normalize_embeddings` are encode's, all others
        SentenceTransformer's. A token for the hub is taken from HF_TOKEN: a pickle would show it.
        """
        # scikit-learn reads and sets each argument as an attribute of its name.
        self.__dict__.update({name: value for name, value in locals().items() if name != "self"})

    # X and y may be of any library: scikit-learn's own names, as callers may give them.
    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Open the model; the data is not looked at.

        Raises ValueError for another `task`, and the errors of SentenceTransformer().
        """
        self.model_ = self._opened()
        self.sample_ = sample_of(self.model_)
        self._n_features_out = self.model_.get_embedding_dimension()
        return self

    # X: as above.
    def transform(self, X: Any) -> np.ndarray:
        """Encode texts: n -> (n, D) float32, or a DataFrame after set_output().

        Raises TypeError for a str or for an item that is no text, ValueError for a table of several
        columns, and CorpusError if a pickle's model is another one by now.
        """
        texts = texts_of(X)
        if not hasattr(self, "sample_"):
            self.fit()
        elif not hasattr(self, "model_"):  # a copy of a fitted one
            model = self._opened()
            check_sample(
                sample_of(model),
                self.sample_,
                str(self.model_name_or_path),
                whose="The fitted transformer",
                advice=FIT_AGAIN,
            )
            self.model_ = model
        encoders = {
            None: self.model_.encode,
            "query": self.model_.encode_query,
            "document": self.model_.encode_document,
        }
        given = self.get_params(deep=False)
        arguments = {name: given[name] for name in OF_ENCODE}
        vectors: np.ndarray = encoders[given["task"]](texts, **arguments)
        return vectors

    def _opened(self) -> SentenceTransformer:
        """Open the model by the arguments as they are now."""
        given = self.get_params(deep=False)
        check_choice("task", given.pop("task"), (None, "query", "document"))
        return SentenceTransformer(
            **{name: value for name, value in given.items() if name not in OF_ENCODE}
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave the opened model out: a copy opens it by its name."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "model_"}

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that the input is texts, and that fit() is not needed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.requires_fit, tags.no_validation = False, True
        return tags


def texts_of(given: Any) -> list[Any]:
    """Return the texts of a list, an array or a table with one column; encode() checks each."""
    if isinstance(given, str):
        raise TypeError(f"The texts are one str, {given!r:.40}; expected a list of them.")
    shape: tuple[int, ...] = getattr(given, "shape", ())
    if len(shape) > 1:
        if len(shape) > 2 or shape[1] != 1:
            raise ValueError(
                f"The texts have the shape {shape}; expected one column. In a ColumnTransformer, "
                "name one column for each MinibertTransformer."
            )
        given = given.iloc[:, 0] if hasattr(given, "iloc") else given[:, 0]
    return list(given)

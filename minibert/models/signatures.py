"""Types in the signatures of encode, predict and rank, for type checkers. Nothing is computed here.

A TypedDict of arguments holds those that change no type of a result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NotRequired,
    Protocol,
    TypeAlias,
    TypedDict,
    Unpack,
    cast,
    overload,
)

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.scoring.quantization import Codes, Precision
from minibert.tokens.truncation import OnLong

if TYPE_CHECKING:
    from minibert.models.job import OutputValue
    from minibert.models.processes import Processes
    from minibert.models.score_activations import ScoreActivation

__all__ = [
    "CodePrecision",
    "EncodeCall",
    "EncodeMethod",
    "EncodeOptions",
    "Encoded",
    "Features",
    "FloatPrecision",
    "Inputs",
    "OneInput",
    "OnePair",
    "Pair",
    "PredictOptions",
    "RankOptions",
    "RankedDocument",
    "Score",
    "TokenArrays",
    "with_overloads",
]

# A text, {"text": a text}, or one row of a model: a pair.
OneInput: TypeAlias = str | Mapping[str, str]
Inputs: TypeAlias = Sequence[str] | Sequence[OneInput | Sequence[str]] | np.ndarray
OnePair: TypeAlias = tuple[str, str] | list[str]
Pair: TypeAlias = Sequence[str]
FloatPrecision: TypeAlias = Literal["float32"] | None
CodePrecision: TypeAlias = Literal["int8", "uint8", "binary", "ubinary"]


class TokenArrays(TypedDict):
    """Padded tokens of S texts; of one text, without the first axis."""

    input_ids: IntArray  # (S, T)
    token_type_ids: NotRequired[IntArray]  # (S, T), where the tokenizer has them
    attention_mask: NotRequired[IntArray]  # (S, T), 1 at tokens and 0 at padding


class Features(TokenArrays, total=False):
    """Padded tokens with, after the model, the states and the vector of a text."""

    modality: str  # "text"
    prompt_length: int  # tokens that [CLS] and the prompt take; only with a prompt
    token_embeddings: Array  # (T, E), 0 at padding
    sentence_embedding: Array  # (D,)


Encoded: TypeAlias = Array | Codes | Features | list[Array] | list[Codes] | list[Features]
# Of one pair: a number, or (labels,) where there are several.
Score: TypeAlias = np.float32 | Array


class CallOptions(TypedDict, total=False):
    """Arguments that encode and predict share."""

    prompt: str | None
    batch_size: int | None
    show_progress_bar: bool | None
    convert_to_tensor: Literal[False]
    device: str | Sequence[str] | None
    pool: Processes | None
    chunk_size: int | None
    pack_tokens: int | None
    on_long: OnLong | None


class EncodeOptions(CallOptions, total=False):
    """Arguments of encode that change no type of its result."""

    normalize_embeddings: bool
    truncate_dim: int | None
    task: str | None


class RankOptions(TypedDict, total=False):
    """Arguments of rank that the reference's has not, or not any more."""

    pack_tokens: int | None
    on_long: OnLong | None
    activation_fct: str | ScoreActivation | None
    num_workers: int | None
    apply_softmax: bool
    convert_to_numpy: bool
    convert_to_tensor: bool


class PredictOptions(CallOptions, total=False):
    """Arguments of predict that change no type of its result."""

    prompt_name: str | None
    activation_fn: str | ScoreActivation | None
    activation_fct: str | ScoreActivation | None
    apply_softmax: bool
    num_workers: int | None


class RankedDocument(TypedDict):
    """A document that rank() has scored."""

    corpus_id: int  # its place in the list that was given
    score: float  # the higher, the better
    text: NotRequired[str]  # with return_documents=True


class EncodeCall(Protocol):
    """encode, encode_query and encode_document: one text gives one row, a list several.

    A checker takes a str for a list of str, too; so some overloads overlap.
    """

    # fmt: off
    @overload
    def __call__(
        self, inputs: OneInput | Inputs, prompt_name: str | None = ..., *,
        convert_to_tensor: Literal[True], **options: Any,
    ) -> Any: ...  # a Tensor of torch, or several
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, inputs: OneInput, prompt_name: str | None = ..., *,
        output_value: Literal["sentence_embedding", "token_embeddings"] = ...,
        convert_to_numpy: bool = ..., precision: FloatPrecision = ...,
        **options: Unpack[EncodeOptions],
    ) -> Array: ...
    @overload
    def __call__(
        self, inputs: OneInput, prompt_name: str | None = ..., *,
        output_value: Literal["sentence_embedding", "token_embeddings"] = ...,
        convert_to_numpy: bool = ..., precision: CodePrecision, **options: Unpack[EncodeOptions],
    ) -> Codes: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, inputs: OneInput, prompt_name: str | None = ..., *,
        output_value: None, convert_to_numpy: bool = ..., precision: FloatPrecision = ...,
        **options: Unpack[EncodeOptions],
    ) -> Features: ...
    @overload
    def __call__(
        self, inputs: Inputs, prompt_name: str | None = ..., *,
        output_value: Literal["sentence_embedding"] = ..., convert_to_numpy: Literal[True] = ...,
        precision: FloatPrecision = ..., **options: Unpack[EncodeOptions],
    ) -> Array: ...
    @overload
    def __call__(
        self, inputs: Inputs, prompt_name: str | None = ..., *,
        output_value: Literal["sentence_embedding"] = ..., convert_to_numpy: Literal[True] = ...,
        precision: CodePrecision, **options: Unpack[EncodeOptions],
    ) -> Codes: ...
    @overload
    def __call__(
        self, inputs: Inputs, prompt_name: str | None = ..., *,
        output_value: Literal["sentence_embedding"] = ..., convert_to_numpy: Literal[False],
        precision: FloatPrecision = ..., **options: Unpack[EncodeOptions],
    ) -> list[Array]: ...
    @overload
    def __call__(
        self, inputs: Inputs, prompt_name: str | None = ..., *,
        output_value: Literal["token_embeddings"], convert_to_numpy: bool = ...,
        precision: FloatPrecision = ..., **options: Unpack[EncodeOptions],
    ) -> list[Array]: ...
    @overload
    def __call__(
        self, inputs: Inputs, prompt_name: str | None = ..., *,
        output_value: None, convert_to_numpy: bool = ..., precision: FloatPrecision = ...,
        **options: Unpack[EncodeOptions],
    ) -> list[Features]: ...
    # fmt: on
    @overload
    def __call__(
        self,
        inputs: OneInput | Inputs | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        output_value: OutputValue = "sentence_embedding",
        precision: Precision | None = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | Sequence[str] | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: Processes | None = None,
        chunk_size: int | None = None,
        *,
        pack_tokens: int | None = None,
        on_long: OnLong | None = None,
        task: str | None = None,
        sentences: OneInput | Inputs | None = None,
    ) -> Encoded: ...


class EncodeMethod(Protocol):
    """A method of a class that is an EncodeCall of each of its objects."""

    def __get__(self, model: object, kind: type | None = None, /) -> EncodeCall: ...


def with_overloads(method: Callable[..., Encoded]) -> EncodeMethod:
    """Tell a type checker which arguments give which result; the method stays as it is."""
    return cast(EncodeMethod, method)

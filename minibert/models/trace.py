"""Every intermediate array of one text on its way through a model. Start at Trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from minibert.bert.parameters import Config
from minibert.common.arrays import Array
from minibert.models.encoding import Encoder, head_of
from minibert.models.job import EncodeJob
from minibert.tokens.texts import Text, with_prompt
from minibert.tokens.tokenizer import Tokens

__all__ = ["Trace", "rollout"]


class Trace(Mapping[str, Array]):
    """Arrays that a model computes from one text, in their order: name -> float32 array.

    `shapes` has the names and shapes, and computes nothing. The first access to an array runs the
    forward pass, once, and keeps copies of the arrays that match, on the host. T tokens, D
    hidden_size, H heads, F intermediate_size; n counts layers from 0:

    - embeddings.word_embeddings (T, D): the rows of the word embeddings
    - embeddings.output (T, D): with position and token type, normalised
    - layer.n.query (T, D), scaled by 1 / sqrt(D / H); layer.n.key, layer.n.value (T, D)
    - layer.n.attention (H, T, T): a row of weights for each token, which sum to 1
    - layer.n.context (T, D): the values mixed by these weights, head beside head
    - layer.n.attention_output (T, D): projected, added to the residual, normalised
    - layer.n.intermediate (T, F): projected up, after the activation
    - layer.n.output (T, D): projected down, added to the residual, normalised
      (in a ModernBERT the norm comes before each of the two steps, and once after the last layer)
    - token_embeddings (T, E): input of the pooling; sentence_embedding (dimension,): the vector
    """

    text: Text  # with the prompt
    tokens: Tokens  # of the text with the prompt
    shapes: dict[str, tuple[int, ...]]  # a name -> the array's shape, in order

    def __init__(self, model: Encoder, job: EncodeJob, text: Text, *, keep: str = "*") -> None:
        """Tokenise the text; `keep` is a pattern of names, as for files: "layer.*.attention".

        Raises ValueError for a pattern that no array has, and where the model refuses a text as too
        long.
        """
        tokenizer = model.transformer.text_tokenizer
        (prompted,) = with_prompt(job.prompt, [text])
        self.text = prompted
        self.tokens = tokenizer.tokens(prompted, job.max_tokens)
        self._model, self._job = model, job
        if not self.tokens.ids:
            raise ValueError("The text has no token, so there is nothing to trace.")
        self._rows = tokenizer.rows([prompted], job.max_tokens)
        self._rows.truncation.report(1, job.max_tokens, job.on_long)
        all_shapes = shapes_of(model, job, len(self.tokens.ids))
        self.shapes = {name: all_shapes[name] for name in all_shapes if fnmatchcase(name, keep)}
        if not self.shapes:
            raise ValueError(f"keep is {keep!r}, which is no array's name; see trace.shapes.")

    @property
    def prompt_length(self) -> int:
        """Number of tokens of [CLS] and the prompt; 0 without a prompt."""
        return self._job.prompt_tokens

    def __getitem__(self, name: str) -> Array:
        if name not in self.shapes:
            raise KeyError(f"There is no array {name!r}; trace.shapes has those that are kept.")
        return self._arrays[name]

    def __contains__(self, name: object) -> bool:
        return name in self.shapes  # the Mapping's own would run the model to find out

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def __repr__(self) -> str:
        return "\n".join(f"{name:28} {shape}" for name, shape in self.shapes.items())

    @cached_property
    def _arrays(self) -> dict[str, Array]:
        """Run the forward pass: -> the arrays to keep, on the host."""
        transformer, arrays = self._model.transformer, dict[str, Array]()
        to_host = transformer.device.to_host

        def keep(name: str, array: Array) -> None:
            if name in self.shapes:
                # Copied, for the kernels work in place; attention takes one text as one bucket.
                copied = np.array(to_host(array), dtype=np.float32)
                arrays[name] = copied.reshape(self.shapes[name])

        (pack,) = transformer.packs(self._rows.ids, self._rows.types, self._job)
        head = head_of(self._model, self._job).states_and_vectors
        states, vectors = transformer.scheduler.with_hook(pack, head, keep)
        keep("token_embeddings", states)
        keep("sentence_embedding", vectors[0])
        return arrays


def shapes_of(model: Encoder, job: EncodeJob, tokens: int) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every array of a text with so many tokens, in order."""
    config: Config = model.transformer.config
    states = tokens, config.hidden_size
    word_embeddings = tokens, config.embedding_size or config.hidden_size
    of_layer: dict[str, tuple[int, ...]] = {
        "query": states,
        "key": states,
        "value": states,
        "attention": (config.num_attention_heads, tokens, tokens),
        "context": states,
        "attention_output": states,
        "intermediate": (tokens, config.intermediate_size),
        "output": states,
    }
    layers = len(model.transformer.parameters.layers)
    of_layers = {
        f"layer.{number}.{name}": shape
        for number in range(layers)
        for name, shape in of_layer.items()
    }
    return {
        "embeddings.word_embeddings": word_embeddings,
        "embeddings.output": states,
        **of_layers,
        "token_embeddings": (tokens, model._pipeline_on_device.token_dimension),
        "sentence_embedding": (job.dimension,),
    }


def rollout(attentions: Iterable[ArrayLike]) -> Array:
    """Estimate how much each token contributes to each other: L of (H, T, T) -> (T, T).

    Row i has the contribution of every token to position i, by attention alone: heads are
    averaged, half of every layer is the residual, and layers are multiplied. Rows sum to 1. Abnar
    and Zuidema, "Quantifying Attention Flow in Transformers" (2020), section 3. This is a summary
    of attention weights alone; the values have no part in it.

    Raises ValueError for an array that is not (H, T, T), and without any layer.
    """
    flow: Array | None = None
    for weights in map(np.asarray, attentions):
        if weights.ndim != 3 or weights.shape[1] != weights.shape[2]:
            raise ValueError(
                f"A layer's attention has the shape {weights.shape}; expected (heads, T, T), as "
                'trace["layer.0.attention"] has it.'
            )
        layer = (weights.mean(axis=0) + np.eye(weights.shape[1], dtype=weights.dtype)) / 2
        flow = layer if flow is None else layer @ flow
    if flow is None:
        raise ValueError("There is no layer; rollout() needs the attention of one layer or more.")
    return flow

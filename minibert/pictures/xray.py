"""Forward pass of one text, as numbers small enough for a page. Start at xray."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from minibert.common.arrays import Array
from minibert.explain import nearest_words
from minibert.pictures.attention import first_tokens

if TYPE_CHECKING:
    from minibert.models.sentence_transformer import SentenceTransformer
    from minibert.tokens.texts import Text

__all__ = ["as_bytes", "as_shorts", "xray"]

# Bytes of the attention weights of one text, by default; a page holds two texts.
ATTENTION_BYTES = 400_000
MAX_TOKENS = 96  # the cells of more tokens would slow the page
TOP_K = 5  # nearest words of a state


def xray(
    model: SentenceTransformer, text: Text, task: str, *, attention_bytes: int = ATTENTION_BYTES
) -> dict[str, Any]:  # values of JSON
    """Compute the numbers of a text's forward pass, as JSON for the script of the page.

    T is the number of first tokens that `attention_bytes` and MAX_TOKENS allow; L layers, H heads:

    - tokens (T), special (T): the tokens, and which are special; left_out: how many follow
    - attention: base64 of (L, H, T, T) bytes, see as_bytes; with left_out, (L, H, T, T + 1), whose
      last column has the weights of all tokens left out
    - norms (L + 1, T): the length of each state, first those of the embeddings
    - moved, by_attention, by_feed_forward (L, T): the length of the change by each layer, and by
      its halves
    - nearest (L + 1, T, k): the tokens with the nearest word embeddings, best first
    """
    trace = model.trace(text, task=task, keep="*output")
    weights = model.trace(text, task=task, keep="*.attention")
    layers = len(weights)
    heads = weights.shapes["layer.0.attention"][0]
    affordable = int((attention_bytes / (layers * heads)) ** 0.5)
    shown = min(len(trace.tokens.ids), affordable, MAX_TOKENS)

    states = [trace["embeddings.output"][:shown]]
    states += [trace[f"layer.{n}.output"][:shown] for n in range(layers)]
    between = [trace[f"layer.{n}.attention_output"][:shown] for n in range(layers)]
    attention = [first_tokens(weights[f"layer.{n}.attention"], shown) for n in range(layers)]
    nearest = nearest_words(model, np.concatenate(states), k=TOP_K)
    return {
        "tokens": trace.tokens.tokens[:shown],
        "special": [word is None for word in trace.tokens.word_ids[:shown]],
        "left_out": len(trace.tokens.ids) - shown,
        "layers": layers,
        "heads": heads,
        "attention": as_bytes(np.stack(attention)),
        "norms": rounded([length(state) for state in states]),
        "moved": rounded([length(b - a) for a, b in pairwise(states)]),
        "by_attention": rounded([length(b - a) for a, b in zip(states, between, strict=False)]),
        "by_feed_forward": rounded(
            [length(b - a) for a, b in zip(between, states[1:], strict=True)]
        ),
        "nearest": [nearest[n * shown : (n + 1) * shown] for n in range(layers + 1)],
    }


def length(states: Array) -> Array:
    """Compute the Euclidean length of each row: (T, D) -> (T,)."""
    found: Array = np.linalg.norm(states, axis=-1)
    return found


def rounded(rows: list[Array]) -> list[list[float]]:
    """Round numbers for readers: three places."""
    return [np.round(row.astype(np.float64), 3).tolist() for row in rows]


def as_bytes(weights: Array) -> str:
    """Return numbers from 0 to 1 as a byte each, in base64: 255 times the square root.

    The root keeps small weights apart, and most are small in a long text; (byte / 255) ** 2 is
    within 0.004 of the weight, and nearer to a smaller one.
    """
    coded = np.rint(255 * np.sqrt(np.clip(weights, 0, 1))).astype(np.uint8)
    return base64.b64encode(coded.tobytes()).decode("ascii")


def as_shorts(values: Array) -> tuple[str, float]:
    """Return numbers of either sign as 16 bits each, little-endian, in base64; and the step."""
    step = float(np.abs(values).max(initial=0)) / 32767 or 1.0
    coded = np.rint(values / step).astype("<i2")
    return base64.b64encode(coded.tobytes()).decode("ascii"), step

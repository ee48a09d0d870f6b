"""A map of a corpus -> one HTML page that needs no network. Start at map_page.

map.html is the frame of the page; map.js draws the points and searches.
"""

from __future__ import annotations

import html
from string import Template
from typing import Any

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.common.counts import counted
from minibert.pictures.corpus_map import CorpusMap
from minibert.pictures.page import asset, page
from minibert.pictures.projection import NEIGHBOURS, SEED

__all__ = ["CHARACTERS", "map_page"]

CHARACTERS = 200  # of each text on the page, so that the page stays small
STEPS = 10_000  # from the mean to the farthest point; far more than the dots of a screen


def map_page(shown: CorpusMap) -> str:
    """Write the page of a map: points with ids and texts, to hover over, to search and to list.

    It holds the first 200 characters of each text, on one line.
    """
    texts = None if shown.texts is None else [beginning(text) for text in shown.texts]
    said = [sample(shown), question(shown), kept(texts)]
    body = Template(asset("map.html")).substitute(
        name=html.escape(shown.name),
        points=counted(len(shown.ids), "document"),
        axes=axes(shown),
        plane=html.escape(plane(shown)),
        notes="\n".join(f'<p class="note">{html.escape(note)}</p>' for note in said if note),
    )
    data = data_of(shown, None if texts is None else [text for text, _ in texts])
    return page(f"Map of {shown.name}", body, data, "map.js", "map.css")


def beginning(text: str) -> tuple[str, bool]:
    """Shorten a text to one line, with an ellipsis for the rest; return whether there is a rest."""
    line = " ".join(text[: 4 * CHARACTERS].split())
    if len(line) <= CHARACTERS and len(text) <= 4 * CHARACTERS:
        return line, False
    return f"{line[: CHARACTERS - 1].rstrip()}…", True


def plane(shown: CorpusMap) -> str:
    """Describe the plane, and what its distances mean."""
    if shown.documents == 1:
        return "A map of one document is a point."
    if not any(shown.shares):
        all_documents = counted(shown.documents, "document")
        return f"The vectors of all {all_documents} are the same, and so their places."
    if shown.method == "umap":
        return (
            f"Each point is a document. UMAP ({NEIGHBOURS} neighbours, seed {SEED}) keeps "
            "neighbours among the vectors together; the distances between groups and their sizes "
            "mean little."
        )
    return (
        f"Each point is a document. The vectors have {shown.dimension} dimensions. The map shows "
        "the two directions in which they vary most, the principal components, with "
        f"{sum(shown.shares):.1%} of the variance: points that are close here may be far apart in "
        "other directions."
    )


def sample(shown: CorpusMap) -> str:
    """Say how many documents are drawn, if not all; "" for all."""
    if len(shown.ids) == shown.documents:
        return ""
    rest = (
        "The others have no influence on their places."
        if shown.method == "umap"
        else "The directions are those of all documents."
    )
    return (
        f"{counted(len(shown.ids), 'document')} of {shown.documents:,} are drawn, chosen at random "
        f"with the seed {SEED}. {rest}"
    )


def question(shown: CorpusMap) -> str:
    """Say how the question is drawn; "" without one."""
    if shown.question is None:
        return ""
    count = len(shown.question.nearest)
    return (
        f"The cross is the question “{shown.question.text}”. Lines lead to the nearest "
        f"{counted(count, 'document')}, by the vectors and not by the map."
    )


def kept(texts: list[tuple[str, bool]] | None) -> str:
    """Say which parts of the texts the page does not hold; "" if it holds all."""
    if texts is None:
        return "The corpus keeps no texts, so points have only their ids."
    if any(is_shortened for _, is_shortened in texts):
        return f"Texts are shortened to {CHARACTERS} characters; the search reads no more of them."
    return ""


def axes(shown: CorpusMap) -> str:
    """Describe the directions of the plane, as HTML."""
    if shown.method == "umap":
        return "The directions of this plane have no meaning of their own."
    first, second = (f"{portion:.1%}" for portion in shown.shares)
    return (
        f"<span>→ first component, {first} of the variance</span> "
        f"<span>↑ second component, {second}</span> "
        "<span>The lines cross at the mean.</span>"
    )


def data_of(shown: CorpusMap, texts: list[str] | None) -> dict[str, Any]:
    """Return the data that map.js reads."""
    asked = shown.question
    whole = shown.places if asked is None else np.vstack((shown.places, asked.place))
    # Places of UMAP lie anywhere; those of principal components have the mean at 0.
    middle = whole.mean(axis=0) if shown.method == "umap" else np.zeros(2)
    largest = float(np.abs(whole - middle).max())

    def steps(places: Array) -> IntArray:
        found: IntArray = np.rint((places - middle) * (STEPS / (largest or 1.0))).astype(np.int64)
        return found

    placed = steps(shown.places)
    return {
        "x": placed[:, 0].tolist(),
        "y": placed[:, 1].tolist(),
        "ids": shown.ids,
        "texts": texts,
        "mean": shown.method == "pca",
        "question": None
        if asked is None
        else {
            "text": asked.text,
            "place": steps(asked.place).tolist(),
            "nearest": asked.nearest,
            "scores": [round(score, 4) for score in asked.scores],
        },
    }

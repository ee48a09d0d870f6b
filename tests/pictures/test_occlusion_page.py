"""The page of a score that is no sum: its losses, and no text becomes a part of it."""

import pytest
from drawn import HOSTILE, Elements
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.explain import occlusion
from minibert.pictures.occlusion_page import occlusion_page
from minibert.pictures.svg import number, places


@pytest.fixture(scope="module")
def unsplit():
    return SentenceTransformer(GOLDEN / "gelu", similarity_fn_name="euclidean", on_long="ignore")


def test_the_page_has_the_score_and_every_loss(unsplit):
    query, document = "the cat", "a dog barks in London"
    page = occlusion_page(unsplit, query, document)
    score = unsplit.similarity(unsplit.encode(query), unsplit.encode(document)).item()
    assert f"<h1>{number(score, places(abs(score), 4), sign=False)} <small>" in page
    for losses in occlusion(unsplit, query, document):
        decimals = places(max(abs(lost.difference) for lost in losses))
        for lost in losses:
            assert f'dir="auto">{lost.word.text}</th>' in page
            assert f'<td class="value">{number(lost.difference, decimals)}</td>' in page


def test_another_metric_gives_another_page(unsplit):
    shown = occlusion_page(unsplit, "the cat", "a dog", metric="manhattan")
    assert "<small>manhattan" in shown
    assert shown != occlusion_page(unsplit, "the cat", "a dog")


def test_hostile_texts_become_no_part_of_the_page(unsplit):
    elements = Elements(occlusion_page(unsplit, HOSTILE, f"Who said {HOSTILE}?"))
    tags = [tag for tag, _ in elements.found]
    assert not {"script", "img", "iframe", "link", "object", "base"} & set(tags)
    assert not [name for _, has in elements.found for name in has if name.startswith("on")]

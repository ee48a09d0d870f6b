"""The page of an explanation: it holds all of it, and no text becomes a part of it."""

import base64
import re

import numpy as np
import pytest
from drawn import HOSTILE, Elements

from minibert.pictures import explanation_page as page_module
from minibert.pictures.explanation_page import explanation_page


@pytest.fixture(scope="module")
def hostile_page(minilm):
    return explanation_page(minilm, HOSTILE, f"Who said {HOSTILE}?")


def test_no_text_becomes_a_part_of_the_page(hostile_page):
    elements = Elements(hostile_page)
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 2  # the data and the program
    assert not {"img", "iframe", "link", "object", "base"} & set(tags)
    assert not [name for _, has in elements.found for name in has if name.startswith("on")]
    assert "alert" in elements.data()["words"][0]
    assert "\x00" not in hostile_page


def test_a_page_refers_to_nothing_outside_itself(hostile_page):
    elements = Elements(hostile_page)
    for tag, attributes in elements.found:
        assert not {"src", "href", "srcset", "action", "background"} & set(attributes), tag
    for style in elements.texts["style"]:
        assert not re.search(r"url\(|@import", style)
    (policy,) = [has["content"] for _, has in elements.found if "http-equiv" in has]
    assert policy.startswith("default-src 'none'")


def test_the_page_has_every_word_of_both_texts_and_the_score(minilm):
    query, document = "Who barks at night?", "A dog barked.\n  The cat slept."
    made = Elements(explanation_page(minilm, query, document))
    explanation = minilm.explain(query, document)
    buttons = [has for tag, has in made.found if tag == "button"]
    assert len(buttons) == len(explanation.query.words) + len(explanation.document.words)
    assert f"{explanation.score:.4f} " in made.texts["h1"]
    data = made.data()
    assert data["words"][1][:4] == ["[CLS]", "A", "dog", "barked"]
    back = np.frombuffer(base64.b64decode(data["pairs"]), "<i2") * data["step"]
    np.testing.assert_allclose(back, explanation.by_word().ravel(), atol=data["step"])


def test_the_parts_that_the_page_names_sum_to_the_score(by_hand):
    words = page_module.in_words(by_hand, by_hand.by_word())
    value = {
        name: float(text.replace("−", "-")) for name, text in words.items() if name != "metric"
    }
    assert value["by_words"] == pytest.approx(0.53)
    assert value["by_special"] == pytest.approx(0.03)
    assert value["gains"] == pytest.approx(0.71)
    assert value["losses"] == pytest.approx(-0.15)
    assert words["score"] == "0.5600"


@pytest.mark.slow
def test_the_page_says_what_was_truncated(minilm):
    page = explanation_page(minilm, "a cat", "a dog " * 300)
    truncated = minilm.tokens("a dog " * 300).truncated
    assert f"did not read the last {truncated} tokens" in page
    data = Elements(page).data()
    assert data["xrays"][1]["left_out"] == 256 - len(data["xrays"][1]["tokens"]) > 0


@pytest.mark.slow
def test_the_page_of_the_longest_texts_stays_small(minilm):
    page = explanation_page(minilm, "why is a slender wing " * 60, "the flow of air " * 100)
    assert len(page.encode()) < 2_500_000


@pytest.mark.slow
@pytest.mark.parametrize("text", ["a" * 400_000, "a" + " " * 400_000 + "b", "a " * 9_000])
def test_no_text_makes_the_page_large(minilm, text):
    assert len(explanation_page(minilm, text, text).encode()) < 2_500_000


def test_a_score_that_is_no_sum_has_no_page(minilm):
    with pytest.raises(ValueError, match="euclidean"):
        explanation_page(minilm, "a", "b", metric="euclidean")

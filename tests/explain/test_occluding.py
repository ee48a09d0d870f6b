"""Losses of a score without a word: the texts are encoded without it, by hand."""

import pytest
from golden_files import GOLDEN
from prompted import DOCUMENT, PROMPTS, QUERY

from minibert import SentenceTransformer
from minibert.explain import occlusion


def test_leaving_a_word_out_is_encoding_the_text_without_it():
    model = SentenceTransformer(GOLDEN / "gelu")
    of_query, of_document = occlusion(model, "the cats sat", "a dog-barks")
    whole = model.similarity(model.encode("the cats sat"), model.encode("a dog-barks"))[0, 0]
    without = [("cats sat", "the"), ("the sat", "cats"), ("the cats", "sat")]
    for found, (text, word) in zip(of_query, without, strict=True):
        score = model.similarity(model.encode(text), model.encode("a dog-barks"))[0, 0]
        assert found.word.text == word
        assert found.difference == pytest.approx(whole - score, abs=1e-6)
    # Without the dash there are two words still.
    without = [("dog-barks", "a"), ("a -barks", "dog"), ("a dog barks", "-"), ("a dog-", "barks")]
    for found, (text, word) in zip(of_document, without, strict=True):
        score = model.similarity(model.encode("the cats sat"), model.encode(text))[0, 0]
        assert found.word.text == word
        assert found.difference == pytest.approx(whole - score, abs=1e-6)


def test_a_model_of_any_class_may_lose_a_word(model_of_another_class, folder):
    model = SentenceTransformer(folder, prompts=PROMPTS)
    assert occlusion(model_of_another_class, QUERY, DOCUMENT) == occlusion(model, QUERY, DOCUMENT)


def test_occlusion_leaves_out_every_word_but_the_prompt_s(pooled):
    model = pooled(["max"])
    found, split = occlusion(model, QUERY, DOCUMENT), model.explain(QUERY, DOCUMENT)
    query = [word for word in split.query.words if not word.is_special]
    assert [word.text for word in query] == ["the", "cat", "the", "cats", "sat"]
    assert [lost.word for lost in found[0]] == query[2:]
    document = [word for word in split.document.words if not word.is_special]
    assert [lost.word for lost in found[1]] == document[2:]
    whole = model.encode_document(DOCUMENT)
    scores = model.similarity(model.encode_query([QUERY, "the sat"]), whole)[:, 0]
    assert found[0][1].word.text == "cats"
    assert found[0][1].difference == pytest.approx(scores[0] - scores[1], abs=1e-6)


def test_a_word_joined_to_the_prompt_is_left_out_without_it(folder):
    model = SentenceTransformer(folder, prompts={"query": "the ca"})
    (lost,) = occlusion(model, "ts", "a dog")[0]
    assert lost.word.text == "cats"
    document = model.encode_document("a dog")
    scores = model.similarity(model.encode_query(["ts", ""]), document)[:, 0]
    assert lost.difference == pytest.approx(scores[0] - scores[1], abs=1e-6)


def test_occlusion_leaves_out_no_truncated_words():
    model = SentenceTransformer(GOLDEN / "gelu", on_long="ignore")
    found = occlusion(model, "a", "the dog barks at the cat " * 10)[1]
    assert len(found) == len([w for w in model.explain("a", "the dog barks at the cat " * 10)
                              .document.words if not w.is_special])  # fmt: skip


def test_occlusion_is_for_every_metric_and_module():
    model = SentenceTransformer(GOLDEN / "modules", similarity_fn_name="euclidean")
    of_query, of_document = occlusion(model, "the cat", "a dog")
    assert [lost.word.text for lost in of_query + of_document] == ["the", "cat", "a", "dog"]
    assert all(lost.difference for lost in of_query)
    with pytest.raises(ValueError, match=r"^metric is 'angle'; expected one of 'cosine', 'dot'"):
        occlusion(model, "the cat", "a dog", metric="angle")


@pytest.mark.parametrize("family", ["roberta", "xlm_roberta", "modernbert"])
def test_words_have_no_blanks_of_a_family_s_tokens(family):
    model = SentenceTransformer(GOLDEN / family)
    found = model.explain("who barks", "a dog barks")
    assert [word.text for word in found.document.words[1:-1]] == ["a", "dog", "barks"]
    assert found.document.place_of(found.document.words[3]) == (6, 11)
    whole = model.similarity(model.encode("who barks"), model.encode("a dog barks"))[0, 0]
    for lost, text in zip(
        occlusion(model, "who barks", "a dog barks")[1],
        ["dog barks", "a barks", "a dog"],
        strict=True,
    ):
        score = model.similarity(model.encode("who barks"), model.encode(text))[0, 0]
        assert lost.difference == pytest.approx(whole - score, abs=1e-6), text

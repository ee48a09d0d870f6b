"""A map of a corpus: what is placed where, the page, and the command."""

import json
import re
import shlex
import shutil
import sys
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import Corpus, SentenceTransformer
from minibert.commands import cli
from minibert.corpus.building import build, delete
from minibert.corpus.search import Index
from minibert.documents import Document
from minibert.errors import CorpusError
from minibert.models.sentence_transformer import DEFAULT_MODEL
from minibert.pictures.corpus_map import ask, corpus_map
from minibert.pictures.map_page import CHARACTERS, beginning, map_page
from minibert.scoring.metrics import METRICS

GELU = GOLDEN / "gelu"
WORDS = ["the", "cat", "dog", "sat", "barks", "London", "a", "big", "small", "river", "old"]
GONE = ["d3", "d30", "d59"]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & <!-- \u2028"


def documents(count=60):
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, random.integers(3, 9))) for _ in range(count)]
    return [Document(f"d{n}", text, "here") for n, text in enumerate(texts)]


@pytest.fixture(scope="module", params=["float32", "float16", "int8", "binary"])
def mapped_corpus(request, model, tmp_path_factory):
    """Three shards, some documents deleted."""
    folder = tmp_path_factory.mktemp(request.param) / "corpus"
    build(folder, documents(), model, precision=request.param, shard_documents=25)
    delete(folder, GONE)
    return Corpus(folder)


@pytest.fixture(scope="module")
def plain_folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "some corpus"
    build(folder, documents(), model, shard_documents=25)
    return folder


@pytest.fixture
def made(model, tmp_path):
    """Make a corpus of texts, with their numbers for ids: made(texts) -> its folder."""

    def make(texts, ids=None, model=model, texts_kept=True):
        folder = tmp_path / "made"
        names = ids or map(str, range(len(texts)))
        there = [Document(id, text, "here") for id, text in zip(names, texts, strict=True)]
        build(folder, there, model, texts=texts_kept)
        return folder

    return make


def singular_places(vectors):
    """Places by the singular values of the centred matrix; each component's largest is positive."""
    centred = vectors - vectors.mean(axis=0)
    _, values, rows = np.linalg.svd(centred, full_matrices=False)
    axes = np.array([row * np.sign(row[np.abs(row).argmax()]) for row in rows[:2]])
    return centred @ axes.T, values[:2] ** 2 / (values**2).sum()


def searched_vectors(model, precision):
    """What a search of the corpus compares, in float64 and by hand.

    Encoded shard by shard: other neighbours would change rounding, and so perhaps a code.
    """
    texts = [one.text for one in documents()]
    shards = [model.encode_document(texts[start : start + 25]) for start in (0, 25, 50)]
    vectors = np.concatenate(shards).astype(np.float64)
    if precision == "int8":  # the ranges of the first shard, of 25
        low, high = vectors[:25].min(axis=0), vectors[:25].max(axis=0)
        steps = np.clip(np.floor((vectors - low) / (high - low) * 255), 0, 255)
        vectors = low + np.minimum(steps + 0.5, 255) * (high - low) / 255
    if precision == "binary":
        vectors = np.where(vectors > 0, 1.0, -1.0)
    vectors /= np.sqrt((vectors**2).sum(axis=1, keepdims=True))  # the metric is the cosine
    return np.delete(vectors, [int(id[1:]) for id in GONE], axis=0)


# What is placed where.


def test_documents_lie_where_the_principal_components_put_them(model, mapped_corpus):
    shown = corpus_map(mapped_corpus)
    precision = mapped_corpus.manifest.settings.precision
    places, shares = singular_places(searched_vectors(model, precision))
    # A number of 16 bits is off by up to 2^-11, and a code may fall to the other side of a step.
    tolerance = {"float16": 2e-3, "int8": 2e-2}.get(precision, 1e-6)
    np.testing.assert_allclose(shown.places, places, atol=tolerance)
    np.testing.assert_allclose(shown.shares, shares, atol=tolerance)
    left = [one for one in documents() if one.id not in GONE]
    assert (shown.ids, shown.texts) == ([one.id for one in left], [one.text for one in left])
    assert (shown.documents, shown.dimension, shown.question) == (57, 20, None)


@pytest.mark.parametrize("metric", ["dot", "euclidean", "manhattan"])
def test_only_the_cosine_divides_vectors_by_their_lengths(made, metric):
    model = SentenceTransformer(GELU, similarity_fn_name=metric)
    texts = [one.text for one in documents()]
    shown = corpus_map(Corpus(made(texts, model=model)))
    places, _ = singular_places(model.encode_document(texts).astype(np.float64))
    np.testing.assert_allclose(shown.places, places, atol=1e-5)


@pytest.mark.parametrize("like", ["cosine", "dot"])
def test_a_metric_from_outside_is_drawn_as_its_row_says(made, monkeypatch, like):
    monkeypatch.setitem(METRICS, "odd", METRICS[like])
    model = SentenceTransformer(GELU, similarity_fn_name="odd")
    texts = [one.text for one in documents()]
    corpus = Corpus(made(texts, model=model))
    vectors = model.encode_document(texts, normalize_embeddings=like == "cosine")
    places, _ = singular_places(vectors.astype(np.float64))
    question = ask(Index(corpus.folder, model), texts[0])
    shown = corpus_map(corpus, question=question)
    np.testing.assert_allclose(shown.places, places, atol=1e-5)
    np.testing.assert_allclose(shown.question.place, places[0], atol=1e-5)
    monkeypatch.delitem(METRICS, "odd")
    places, _ = singular_places(model.encode_document(texts).astype(np.float64))
    np.testing.assert_allclose(corpus_map(corpus).places, places, atol=1e-5)


def test_a_sample_is_repeatable_and_keeps_its_places_on_the_map(plain_folder, caplog):
    corpus = Corpus(plain_folder)
    everything = corpus_map(corpus)
    assert not caplog.messages
    first, second = (corpus_map(corpus, points=20) for _ in range(2))
    assert first.ids == second.ids
    assert len(first.ids) == len(set(first.ids)) == 20
    places = dict(zip(everything.ids, everything.places.tolist(), strict=True))
    assert dict(zip(first.ids, first.places.tolist(), strict=True)).items() <= places.items()
    assert first.ids == [id for id in everything.ids if id in first.ids]  # in their order
    assert (first.documents, first.shares) == (60, everything.shares)
    assert "has 60 documents; 20 of them are drawn, chosen with the seed 0" in caplog.messages[0]


def test_deleted_documents_are_in_no_sample(mapped_corpus):
    assert not {*corpus_map(mapped_corpus, points=56).ids} & {*GONE}


def test_a_question_lies_where_a_document_of_its_text_would(model, plain_folder):
    index = Index(plain_folder, model)
    there = documents()[17]
    shown = corpus_map(index.corpus, question=ask(index, there.text))
    np.testing.assert_allclose(shown.question.place, shown.places[17], atol=1e-6)
    assert shown.question.nearest[0] == 17
    assert shown.question.scores[0] == pytest.approx(1)


def test_a_question_s_nearest_of_all_documents_join_the_sample(model, plain_folder, caplog):
    index = Index(plain_folder, model)
    hits = index.search(["the old house"], 10)[0]
    shown = corpus_map(index.corpus, points=5, question=ask(index, "the old house"))
    assert [shown.ids[point] for point in shown.question.nearest] == [hit.id for hit in hits]
    assert shown.question.scores == [hit.score for hit in hits]
    assert 10 <= len(shown.ids) <= 15


def test_a_question_of_a_small_corpus_has_all_of_it(made, model, caplog):
    index = Index(made(["the cat", "the dog"]), model)
    assert len(ask(index, "a cat").numbers) == 2
    assert not caplog.messages


def test_equal_documents_lie_in_one_place(made):
    shown = corpus_map(Corpus(made(["the cat"] * 30)))
    assert shown.shares == (0.0, 0.0)
    assert not shown.places.any()


def test_what_cannot_be_meant_is_refused(plain_folder, made):
    corpus = Corpus(plain_folder)
    with pytest.raises(ValueError, match=r"method is 'tsne'; expected one of 'pca', 'umap'\."):
        corpus_map(corpus, "tsne")
    with pytest.raises(ValueError, match="points is 0"):
        corpus_map(corpus, points=0)
    empty = made(["the cat", "the dog"])
    delete(empty, ["0", "1"])
    with pytest.raises(CorpusError, match="holds no documents"):
        corpus_map(Corpus(empty))


def test_umap_gets_the_vectors_that_are_shown(plain_folder, umap):
    corpus = Corpus(plain_folder)
    shown = corpus_map(corpus, "umap", points=20)
    np.testing.assert_array_equal(shown.places, umap["vectors"][:, :2] + 1)  # the stand-in's
    assert (len(shown.places), shown.method) == (20, "umap")
    np.testing.assert_allclose(umap["init"], corpus_map(corpus, points=20).places, atol=1e-3)


# The page.


class Page(HTMLParser):
    """Elements that are open, and the ids and attributes met; fails where tags do not match."""

    VOID = {"meta", "input", "br", "img", "link"}  # noqa: RUF012

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.ids, self.content = [], [], [], {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in self.VOID:
            self.open.append((tag, dict(attributes).get("id")))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        names = [id for _, id in self.open if id]
        if names != ["data"] and self.open and self.open[-1][0] in ("script", "style"):
            return
        for id in [*names, None]:
            self.content[id] = self.content.get(id, "") + data

    @property
    def data(self):
        return json.loads(self.content["data"])

    @property
    def words(self):
        return " ".join(self.content[None].split())


def test_the_page_holds_every_point_and_is_well_formed(plain_folder):
    shown = corpus_map(Corpus(plain_folder))
    page = Page(map_page(shown))
    assert len(page.ids) == len(set(page.ids))
    assert (page.data["ids"], page.data["texts"]) == (shown.ids, shown.texts)
    placed = np.array([page.data["x"], page.data["y"]]).T
    assert np.abs(placed).max() == 10_000
    largest = np.abs(shown.places).max()
    np.testing.assert_allclose(placed, shown.places / largest * 10_000, atol=0.51)
    assert "Map of some corpus minibert maps a corpus some corpus Each" in page.words
    assert f"{sum(shown.shares):.1%} of the variance" in page.words
    assert "chosen at random" not in page.words
    assert "are shortened" not in page.words


def test_the_page_asks_for_nothing_from_elsewhere(plain_folder):
    text = map_page(corpus_map(Corpus(plain_folder)))
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"(?m)^ *// .*$", "", text))
    assert not [tag for tag, attributes in Page(text).tags if {"src", "href"} & attributes.keys()]


def test_texts_ids_names_and_questions_are_text_and_never_markup(made, model):
    folder = made([HOSTILE, "the cat"], ids=["<b>&amp;", "'\"><i>"])
    named = folder.with_name("<u>&lt; & {name} $points")
    folder.rename(named)
    index = Index(named, model)
    shown = corpus_map(index.corpus, question=ask(index, "<em>a & b</em> {keys}"))
    plain = corpus_map(index.corpus)
    page, other = Page(map_page(shown)), Page(map_page(plain))
    # Not one element more, whatever is in the texts.
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert not {"b", "i", "u", "em", "img"} & {tag for tag, _ in page.tags}
    assert len(page.tags) == len(other.tags) + 1  # the note on the question
    assert page.data["ids"] == ["<b>&amp;", "'\"><i>"]
    assert page.data["texts"] == [" ".join(HOSTILE.split()), "the cat"]
    assert page.data["question"]["text"] == "<em>a & b</em> {keys}"
    assert page.words.count("<u>&lt; & {name} $points") == 2  # the title, too
    assert "the question “<em>a & b</em> {keys}”" in page.words


def test_a_sample_and_shortened_texts_are_told_in_the_page(made):
    folder = made(["the cat sat on the mat " * 20, *["the dog", "a river", "old house"] * 3])
    page = Page(map_page(corpus_map(Corpus(folder), points=4)))
    assert "4 documents of 10 are drawn, chosen at random with the seed 0" in page.words
    assert "The directions are those of all documents." in page.words
    page = Page(map_page(corpus_map(Corpus(folder))))
    assert f"Texts are shortened to {CHARACTERS} characters" in page.words
    assert max(map(len, page.data["texts"])) <= CHARACTERS
    assert page.data["texts"][0].endswith("…")


def test_a_text_is_shortened_only_if_it_is_too_long():
    assert beginning(" a\n\tb ") == ("a b", False)
    assert beginning("x" * (CHARACTERS - 1) + "…") == ("x" * (CHARACTERS - 1) + "…", False)
    assert beginning("x" * (CHARACTERS + 1)) == ("x" * (CHARACTERS - 1) + "…", True)
    assert beginning(" " * 10 * CHARACTERS + "x") == ("…", True)  # only blanks are within reach
    assert beginning("") == ("", False)


def test_a_corpus_without_texts_shows_ids(made):
    shown = corpus_map(Corpus(made(["the cat", "the dog", "a river"], texts_kept=False)))
    page = Page(map_page(shown))
    assert (page.data["ids"], page.data["texts"]) == (["0", "1", "2"], None)
    assert "keeps no texts" in page.words
    assert "text" not in shown.as_dict()["points"][0]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["the cat"], "A map of one document is a point."),
        (["the cat"] * 3, "The vectors of all 3 documents are the same, and so their places."),
    ],
)
def test_without_variance_the_page_says_why_it_shows_one_point(made, texts, said):
    page = Page(map_page(corpus_map(Corpus(made(texts)))))
    assert said in page.words
    assert page.data["x"] == page.data["y"] == [0] * len(texts)


def test_an_umap_layout_is_centred_and_names_no_components(plain_folder, umap):
    shown = corpus_map(Corpus(plain_folder), "umap")
    shifted = shown._replace(places=shown.places + 1000)
    page = Page(map_page(shifted))
    assert abs(np.mean(page.data["x"])) < 1
    assert max(map(abs, page.data["x"] + page.data["y"])) == 10_000
    assert page.data["mean"] is False
    assert "UMAP" in page.words
    assert "component" not in page.words
    few = Page(map_page(corpus_map(Corpus(plain_folder), "umap", points=20)))
    assert "The others have no influence on their places" in few.words


# The command.


@pytest.fixture
def run_map(run):
    """Run `minibert map`."""
    return partial(run, "map")


def test_the_page_goes_to_a_file_or_to_stdout(run_map, plain_folder, tmp_path):
    path = tmp_path / "map.html"
    assert run_map(plain_folder, "-o", path) == (0, "", "")
    assert path.read_text(encoding="utf-8") == map_page(corpus_map(Corpus(plain_folder)))
    assert run_map(plain_folder) == (0, path.read_text(encoding="utf-8"), "")


def test_json_tells_every_place(run_map, plain_folder):
    code, out, err = run_map(plain_folder, "--json", "--points", 20)
    shown = corpus_map(Corpus(plain_folder), points=20)
    assert (code, out.count("\n")) == (0, 1)
    assert "--points draws more" in err
    told = json.loads(out)
    assert [(point["x"], point["y"]) for point in told["points"]] == list(
        map(tuple, shown.places.tolist())
    )
    assert [point["id"] for point in told["points"]] == shown.ids
    assert [point["text"] for point in told["points"]] == shown.texts
    assert (told["name"], told["method"], told["metric"]) == ("some corpus", "pca", "cosine")
    assert (told["documents"], told["dimension"], told["seed"]) == (60, 20, 0)
    assert told["shares"] == list(shown.shares)
    assert "question" not in told


def test_quiet_says_nothing_of_the_sample(run_map, plain_folder):
    code, _, err = run_map(plain_folder, "--json", "--points", 20, "--quiet")
    assert (code, err) == (0, "")


def test_only_a_question_opens_the_model(run_map, model, plain_folder, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(plain_folder, moved)
    manifest = moved / "manifest.json"
    assert str(GELU) in manifest.read_text()
    code, out, _ = run_map(moved, "--json", "--query", "the old house", "--model", GELU)
    told = json.loads(out)["question"]
    hits = Index(plain_folder, model).search(["the old house"], 10)[0]
    assert code == 0
    assert told["text"] == "the old house"
    assert [(one["id"], one["score"]) for one in told["nearest"]] == [
        (hit.id, hit.score) for hit in hits
    ]
    assert {"x", "y"} <= told.keys()
    # A model that is not there is missed by a question alone.
    assert run_map(moved, "--json", "--model", tmp_path / "gone")[0] == 0
    assert run_map(moved, "--query", "the cat", "--model", tmp_path / "gone")[0] == 66


def test_what_goes_wrong_has_its_exit_code(run_map, plain_folder, made, tmp_path, monkeypatch):
    code, out, err = run_map(tmp_path / "nowhere")
    assert (code, out) == (66, "")
    assert "nowhere" in err
    assert run_map(plain_folder, "-o", tmp_path / "no" / "map.html")[0] == 73
    assert run_map(plain_folder, "--query", "  ")[0] == 65
    monkeypatch.setitem(sys.modules, "umap", None)
    code, _, err = run_map(plain_folder, "--method", "umap")
    assert code == 69
    assert "pip install '.[umap]' in a clone of minibert" in err
    empty = made(["the cat"])
    delete(empty, ["0"])
    code, _, err = run_map(empty)
    assert code == 65
    assert "nothing to draw" in err
    for wrong in (["--points", "0"], ["--method", "tsne"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(["map", str(plain_folder), *wrong])
        assert caught.value.code == 2


def test_what_fails_leaves_an_older_page_as_it_is(run_map, made, tmp_path):
    path = tmp_path / "map.html"
    path.write_text("older")
    empty = made(["the cat"])
    delete(empty, ["0"])
    assert run_map(empty, "-o", path)[0] == 65
    assert path.read_text() == "older"


def test_every_command_of_the_map_page_runs(cache, old_folder, tmp_path, monkeypatch, capsys, umap):
    cache(DEFAULT_MODEL, old_folder)
    monkeypatch.chdir(tmp_path)
    build("my-corpus", documents(), SentenceTransformer(DEFAULT_MODEL))
    page = (Path(__file__).parents[2] / "docs" / "map.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(sh|python)\n(.*?)```", page, re.DOTALL)
    commands = [
        line for language, text in blocks if language == "sh"
        for line in text.splitlines() if line.startswith("minibert ")
    ]  # fmt: skip
    assert len(commands) == 4
    for command in commands:
        (tmp_path / "map.html").unlink(missing_ok=True)
        assert cli.main(shlex.split(command, comments=True)[1:]) == 0
        assert (tmp_path / "map.html").exists() or json.loads(capsys.readouterr().out)
    (program,) = [text for language, text in blocks if language == "python"]
    exec(compile(program, "map.md", "exec"), {})
    assert capsys.readouterr().out.startswith("60 ")

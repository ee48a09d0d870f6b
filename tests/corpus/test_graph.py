"""A graph beside a corpus: what it finds, and when it is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from corpora import with_fields
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.commands import cli
from minibert.common.files import locked
from minibert.corpus.building import add, build, delete
from minibert.corpus.corpus import Corpus
from minibert.corpus.graph import build_graph, open_graph, recall_of
from minibert.corpus.search import Index
from minibert.corpus.verifying import verify
from minibert.documents import Document
from minibert.errors import CorpusError, MissingLibraryError, OutputError
from minibert.kernels import cores
from minibert.scoring.metrics import METRICS

GELU = GOLDEN / "gelu"
WORDS = "the cat dog sat barks at on mat in London a big small river runs by old house"
QUERIES = ["the cat sat", "a dog barks in London"]


def documents(start, count):
    random = np.random.default_rng(start)
    return [
        Document(f"d{n}", " ".join(random.choice(WORDS.split(), random.integers(3, 9))), "here")
        for n in range(start, start + count)
    ]


@pytest.fixture
def large_corpus(model, tmp_path):
    build(tmp_path / "corpus", documents(0, 300), model, shard_documents=120)
    return tmp_path / "corpus"


@pytest.fixture
def usearch():
    return pytest.importorskip("usearch.index", reason="usearch is an extra, not installed here")


def graph_made(folder, *arguments, threads=1, **named):
    """Build a graph with one thread, as the links of several depend on their timing."""
    corpus = Corpus(folder)
    return build_graph(corpus, corpus.vectors(), *arguments, threads=threads, **named)


def opened(folder):
    corpus = Corpus(folder)
    return open_graph(corpus, corpus.vectors())


def test_a_graph_finds_what_an_exact_search_does_or_nearly(usearch, model, large_corpus):
    graph = graph_made(large_corpus)
    assert recall_of(graph) > 0.95
    exact = Index(large_corpus, model).search(QUERIES, 5)
    found = Index(large_corpus, model, approximate=True).search(QUERIES, 5)
    for one, other in zip(exact, found, strict=True):
        shared = {hit.id for hit in one} & {hit.id for hit in other}
        assert len(shared) >= 4
        scores = {hit.id: hit.score for hit in one}
        for hit in other:
            assert hit.id not in shared or hit.score == scores[hit.id]


def test_a_graph_is_made_by_no_more_threads_than_cores(usearch, model, large_corpus, monkeypatch):
    monkeypatch.setattr(cores.CORES, "has_warned", False)
    monkeypatch.setattr(cores, "quota", lambda: 1)
    given = []
    add = usearch.Index.add

    def counted(self, *arguments, threads, **named):
        given.append(threads)
        return add(self, *arguments, threads=threads, **named)

    monkeypatch.setattr(usearch.Index, "add", counted)
    for threads in (None, 64):
        graph_made(large_corpus, threads=threads)
    assert set(given) == {1}


def test_recall_is_the_share_that_is_found(usearch, model, large_corpus):
    graph = graph_made(large_corpus)

    whole = graph.found

    def search(query, count):
        found = whole.search(query, 300).keys
        near = found[: 2 * count : 2][: count // 2]
        return type("Matches", (), {"keys": np.concatenate([near, found[-count:]])[:count]})

    graph.found = type("Halved", (), {"search": staticmethod(search)})
    assert 0.4 < recall_of(graph, 10, 50) < 0.75


def test_deleted_documents_are_left_out(usearch, model, large_corpus):
    graph_made(large_corpus)
    best = [hit.id for hit in Index(large_corpus, model).search(QUERIES[:1], 3)[0]]
    delete(large_corpus, best)
    found = Index(large_corpus, model, approximate=True).search(QUERIES[:1], 3)[0]
    assert len(found) == 3
    assert not {hit.id for hit in found} & set(best)


def test_a_graph_of_other_shards_is_refused(usearch, model, large_corpus):
    with pytest.raises(FileNotFoundError, match=r"has no graph. `minibert index graph` makes one"):
        Index(large_corpus, model, approximate=True)
    graph_made(large_corpus)
    add(large_corpus, documents(300, 5), model)
    with pytest.raises(CorpusError, match="was made of other vectors than"):
        Index(large_corpus, model, approximate=True)
    (large_corpus / "graph.json").write_text("{")
    with pytest.raises(CorpusError, match=r"graph.json is not valid JSON"):
        Index(large_corpus, model, approximate=True)


def test_a_graph_is_made_while_nobody_writes(usearch, model, large_corpus):
    tried = []

    def advance(done):
        with pytest.raises(OutputError, match="is being written by another process"):
            delete(large_corpus, ["d7"])
        tried.append(done)

    graph_made(large_corpus, advance)
    assert sum(tried) == 300
    with (
        locked(large_corpus),
        pytest.raises(OutputError, match="is being written by another process"),
    ):
        graph_made(large_corpus)


def test_a_search_among_ids_stays_exact(usearch, model, large_corpus):
    graph_made(large_corpus)
    ids = ["d7", "d250"]
    arguments = QUERIES[:1], 2
    exact = Index(large_corpus, model).search(*arguments, ids=ids)
    assert Index(large_corpus, model, approximate=True).search(*arguments, ids=ids) == exact
    with pytest.raises(ValueError, match="its graph is the first pass"):
        Index(large_corpus, model, approximate=True).search(*arguments, rescore=2)


def test_a_metric_that_usearch_lacks_is_refused(usearch, tmp_path):
    model = SentenceTransformer(GELU, similarity_fn_name="manhattan")
    build(tmp_path / "c", documents(0, 5), model)
    with pytest.raises(ValueError, match="usearch has no manhattan distance"):
        graph_made(tmp_path / "c")


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_the_graph_has_the_model_s_metric(usearch, tmp_path, metric):
    model = SentenceTransformer(GELU, similarity_fn_name=metric)
    build(tmp_path / "c", documents(0, 200), model, precision="int8")
    assert recall_of(graph_made(tmp_path / "c")) > 0.9


def test_a_metric_from_outside_has_a_graph_if_its_row_says_so(usearch, tmp_path, monkeypatch):
    monkeypatch.setitem(METRICS, "inner", METRICS["dot"])
    model = SentenceTransformer(GELU, similarity_fn_name="inner")
    build(tmp_path / "c", documents(0, 200), model)
    assert recall_of(graph_made(tmp_path / "c")) > 0.9
    monkeypatch.setitem(METRICS, "inner", replace(METRICS["dot"], usearch_name=None))
    with pytest.raises(ValueError, match="no inner distance; expected one of cosine, dot, eucl"):
        graph_made(tmp_path / "c")


def test_the_commands_make_and_ask_a_graph(usearch, large_corpus, capsys):
    assert cli.main(["index", "graph", str(large_corpus)]) == 0
    assert float(capsys.readouterr().out.split()[1].rstrip(",")) > 0.95
    assert cli.main(["search", str(large_corpus), "the cat", "--approximate", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["hits"]) == 10
    assert cli.main(["index", "verify", str(large_corpus)]) == 0


def test_without_usearch_the_extra_is_named(model, large_corpus, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "usearch.index", None)
    with pytest.raises(MissingLibraryError, match=r"usearch, .*pip install '\.\[usearch\]' in a"):
        graph_made(large_corpus)
    assert not (large_corpus / "graph.usearch").exists()


def test_a_graph_cut_short_is_refused(usearch, model, large_corpus):
    graph_made(large_corpus)
    path = large_corpus / "graph.usearch"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorpusError, match=r"graph.usearch"):
        opened(large_corpus)


def test_verify_reads_the_graph_too(usearch, model, large_corpus):
    assert list(verify(large_corpus)) == []
    graph_made(large_corpus)
    assert list(verify(large_corpus)) == []
    path = large_corpus / "graph.usearch"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    [told] = verify(large_corpus)
    assert told.startswith(f"{path} was damaged")
    path.unlink()
    [told] = verify(large_corpus)
    assert told.startswith(f"{path} cannot be read")
    for other in ("[]", "{}", "{"):
        (large_corpus / "graph.json").write_text(other)
        [told] = verify(large_corpus)
        assert told.startswith(f"{large_corpus / 'graph.json'} ")
        with pytest.raises(CorpusError):
            opened(large_corpus)


def test_a_graph_of_another_size_is_not_opened(usearch, model, large_corpus):
    graph_made(large_corpus)
    with open(large_corpus / "graph.usearch", "ab") as file:
        file.write(b"more")
    with pytest.raises(CorpusError, match=r"graph.usearch is missing or damaged: it has"):
        opened(large_corpus)


def test_a_search_by_fields_is_exact_beside_a_graph(usearch, model, tmp_path):
    folder, where = tmp_path / "corpus", {"lang": "de", "year": {">": 2000}}
    build(folder, with_fields(), model, fields=("lang", "year"), shard_documents=25)
    graph_made(folder)
    found = Index(folder, model, approximate=True).search(QUERIES, 60, where=where)
    assert found == Index(folder, model).search(QUERIES, 60, where=where)
    assert [len(hits) for hits in found] == [
        sum(one.fields["lang"] == "de" and one.fields["year"] > 2000 for one in with_fields())
    ] * 2

"""ServedModels: names, aliases, tasks and kinds; models as their folders say."""

import os

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import CrossEncoder, SentenceTransformer
from minibert.kernels.cores import available_threads
from minibert.server.refusals import RequestError
from minibert.server.served import Served, ServedModels, load_models
from minibert.server.settings import ModelPlace, Settings

EMBEDDER = Served("org/bert", "embedding", 1)
OTHER = Served("tiny:v2", "embedding", 2)
RERANKER = Served("ranker", "reranker", 3)
CLASSIFIER = Served("labels", "classifier", 4)
KINDS = ("embedding", "reranker", "classifier")
ALIASES = {"ada": "org/bert", "asks": "org/bert:query", "rank": "ranker", "Tiny:V2": "org/bert"}


@pytest.fixture
def models():
    return ServedModels([RERANKER, EMBEDDER, OTHER, CLASSIFIER], ALIASES)


def refused(models, *arguments):
    with pytest.raises(RequestError) as caught:
        models.find(*arguments)
    return caught.value


@pytest.mark.parametrize(
    ("name", "served", "task"),
    [
        ("org/bert", EMBEDDER, None),
        ("tiny:v2", OTHER, None),
        ("ranker", RERANKER, None),
        ("labels", CLASSIFIER, None),
        ("ada", EMBEDDER, None),
        ("asks", EMBEDDER, "query"),
        ("rank", RERANKER, None),
        ("Tiny:V2", EMBEDDER, None),
        ("org/bert:query", EMBEDDER, "query"),
        ("org/bert:document", EMBEDDER, "document"),
        ("tiny:v2:query", OTHER, "query"),
        ("ada:document", EMBEDDER, "document"),
    ],
)
def test_a_name_an_alias_or_a_task_is_found(models, name, served, task):
    assert models.find(name, *KINDS) == (served, task)


@pytest.mark.parametrize(
    "name",
    ["bert", "ORG/BERT", "org/bert:poem", "org/bert:", ":query", "asks:query", "asks:document",
     "org/bert:query:query", "org/bert ", "tiny", "x" * 10_000],
)  # fmt: skip
def test_another_name_is_unknown(models, name):
    error = refused(models, name, *KINDS)
    assert (error.kind, error.field) == ("unknown_model", "model")
    names = "ranker, org/bert, tiny:v2, labels, ada, asks, rank, Tiny:V2"
    assert error.message.endswith(f"this server has {names}.")
    assert len(error.message) < 200


@pytest.mark.parametrize("name", [None, ""])
def test_without_a_name_the_first_of_the_kind_is_meant(models, name):
    assert models.find(name, "embedding") == (EMBEDDER, None)
    assert models.find(name, "reranker") == (RERANKER, None)
    assert models.find(name, "classifier", "embedding") == (EMBEDDER, None)


def test_without_a_model_of_the_kind_none_is_found():
    error = refused(ServedModels([EMBEDDER], {}), None, "reranker", "classifier")
    assert (error.kind, error.message) == (
        "wrong_model",
        "This server has no reranker or classifier model: start it with a cross-encoder with one "
        "label or a cross-encoder with several labels.",
    )
    error = refused(ServedModels([EMBEDDER], {}), None, "sparse")
    assert error.message == (
        "This server has no sparse model: minibert runs none yet."
    )  # fmt: skip


def test_a_model_of_another_kind_is_refused(models):
    error = refused(models, "rank", "embedding")
    assert (error.kind, error.field) == ("wrong_model", "model")
    assert error.message.startswith("'ranker' is of the kind reranker; expected embedding. ")
    assert error.message.endswith(f"This server has {EMBEDDER.name}, {OTHER.name}.")
    error = refused(ServedModels([EMBEDDER], {}), EMBEDDER.name, "reranker")
    assert error.message == (
        f"'{EMBEDDER.name}' is of the kind embedding; expected reranker. This server has no "
        "reranker model: start it with a cross-encoder with one label."
    )


def test_all_models_stand_in_the_command_s_order_without_aliases(models):
    assert models.all == (RERANKER, EMBEDDER, OTHER, CLASSIFIER)


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("org/bert", "org/bert"),
        ("ORG/Bert", "org/bert"),
        ("ADA", "ada"),
        ("Org/Bert:QUERY", "org/bert:query"),
        ("ada:Document", "ada:document"),
        ("tiny:v2", "tiny:v2"),
        ("Tiny:V2", "Tiny:V2"),
        ("other", None),
        ("asks:query", None),
    ],
)
def test_a_name_is_spelled_as_the_command_does(models, name, spelled):
    assert models.spelled(name) == spelled


@pytest.mark.parametrize("asked", [None, True, False])
@pytest.mark.parametrize("rule", ["auto", "always", "never"])
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_a_request_s_word_counts_before_the_rule(asked, rule, metric):
    encoder = SentenceTransformer(GOLDEN / "gelu", similarity_fn_name=metric)
    found = Served("m", "embedding", 0, encoder=encoder).normalizes(asked, rule)
    by_rule = {"always": True, "never": False, "auto": metric == "cosine"}[rule]
    assert found == (by_rule if asked is None else asked)


# Loading


@pytest.fixture
def settings(one_label):
    places = {"e": GOLDEN / "gelu", "c": GOLDEN / "cross_encoder", "r": one_label}
    return Settings(
        tuple(ModelPlace(name, str(place)) for name, place in places.items()),
        aliases=(("q", "e:query"),),
        opened_as={"threads": 1, "device": "cpu"},
    )


def test_a_folder_says_what_its_model_is(settings):
    models = load_models(settings)
    assert [(one.name, one.kind) for one in models.all] == [
        ("e", "embedding"), ("c", "classifier"), ("r", "reranker")
    ]  # fmt: skip
    assert isinstance(models.all[0].model, SentenceTransformer)
    assert isinstance(models.all[1].model, CrossEncoder)
    assert models.find("q", "embedding") == (models.all[0], "query")


def test_a_model_was_created_when_its_weights_were_written(settings, one_label):
    os.utime(one_label / "model.safetensors", (1_700_000_000, 1_700_000_000.9))
    assert load_models(settings).all[2].created == 1_700_000_000


@pytest.mark.parametrize("reproducible", [True, False])
def test_models_are_opened_with_the_server_s_options(reproducible, caplog):
    settings = Settings(
        (ModelPlace("m", str(GOLDEN / "gelu")),),
        reproducible=reproducible,
        opened_as={"threads": 1, "short_inputs": False},
    )
    model = load_models(settings).all[0].model
    assert model.transformer.reproducible is reproducible
    assert (model.transformer.threads, model.transformer.short_inputs) == (1, False)
    caplog.clear()
    assert np.isfinite(model.encode("the cat " * 100)).all()
    assert caplog.text == ""  # an answer tells what was truncated; the log need not


def test_worker_processes_divide_the_cores_among_them():
    settings = Settings((ModelPlace("m", str(GOLDEN / "gelu")),), workers=available_threads())
    assert load_models(settings).all[0].model.transformer.threads == settings.threads == 1

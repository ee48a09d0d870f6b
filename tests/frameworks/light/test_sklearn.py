"""scikit-learn: pipelines, tables, grids, clones and pickles; and its own check of an estimator."""

import inspect
import pickle

import numpy as np
import pandas
import pytest
from exact_neighbours import assert_nearest
from golden_files import GOLDEN, copy_of, edit_json
from prompted import DOCUMENT, PROMPTS, QUERY
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from minibert import CorpusError, SentenceTransformer
from minibert.integrations.sklearn import MinibertTransformer

TEXTS = ["a cat", "the dog barks", "London", "who sat", "cats", "a dog"] * 2
LABELS = [0, 1, 0, 1, 0, 1] * 2


@pytest.fixture(scope="module")
def vectors_of_texts(model):
    return model.encode(TEXTS)


def test_a_pickled_pipeline_finds_the_nearest(cranfield, short_folder):
    documents, queries = (
        MinibertTransformer(short_folder, task=task, on_long="ignore")
        for task in ("document", "query")
    )
    search = NearestNeighbors(n_neighbors=10, metric="cosine")
    search.fit(documents.fit_transform(list(cranfield.documents.values())))
    search, queries = pickle.loads(pickle.dumps((search, queries)))
    places = search.kneighbors(
        queries.transform(list(cranfield.queries.values())), return_distance=False
    )
    ids = list(cranfield.documents)
    found = [[ids[place] for place in row] for row in places]
    assert_nearest(SentenceTransformer(short_folder, on_long="ignore"), cranfield, found)


def test_it_is_cloneable_to_scikit_learn_itself():
    with pytest.warns(SkipTestWarning, match="string=True"):  # its other checks give numbers
        checks = check_estimator(MinibertTransformer(str(GOLDEN / "gelu")))
    assert [(check["check_name"], check["status"]) for check in checks] == [
        ("check_estimator_cloneable", "passed")
    ]


def test_every_argument_that_changes_vectors_is_a_parameter():
    ours = inspect.signature(MinibertTransformer).parameters.keys()
    theirs = inspect.signature(SentenceTransformer).parameters.keys()
    # No text is scored, nothing is saved, and a token has no place in a pickle. The others have
    # one value that is accepted.
    left_out = {
        *("modules", "similarity_fn_name", "token", "trust_remote_code"),
        *("model_kwargs", "processor_kwargs", "config_kwargs", "model_card_data", "backend"),
        *("tokenizer_kwargs", "use_auth_token"),
    }
    assert theirs - ours <= left_out
    assert ours - theirs == {"task", "prompt_name", "prompt", "normalize_embeddings"}


@pytest.mark.parametrize(
    "kind",
    [list, tuple, np.array, pandas.Series, lambda texts: pandas.DataFrame({"text": texts}),
     lambda texts: np.array(texts, object)[:, None], iter],
    ids=["list", "tuple", "array", "series", "frame", "column", "iterator"],
)  # fmt: skip
def test_texts_come_in_all_the_shapes_of_one_column(folder, vectors_of_texts, kind):
    vectors = MinibertTransformer(folder).transform(kind(TEXTS))
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, vectors_of_texts)


def test_vectors_are_normalised_where_that_is_asked_for(folder, vectors_of_texts):
    found = MinibertTransformer(folder, normalize_embeddings=True).transform(TEXTS)
    lengths = np.linalg.norm(vectors_of_texts, axis=1, keepdims=True)
    np.testing.assert_allclose(found, vectors_of_texts / lengths, atol=1e-6)
    assert np.abs(lengths - 1).max() > 0.1


def test_no_texts_are_no_rows(folder):
    assert MinibertTransformer(folder, truncate_dim=8).transform([]).shape == (0, 8)


@pytest.mark.parametrize(
    ("arguments", "prefix"),
    [
        ({}, "any "),  # the folder's default
        ({"task": "query"}, PROMPTS["query"]),
        ({"task": "document"}, PROMPTS["document"]),
        ({"prompt_name": "document"}, PROMPTS["document"]),
        ({"prompt": "who "}, "who "),
        ({"task": "query", "prompt": "who "}, "who "),
        ({"prompts": {"any": "London "}}, "London "),
    ],
)
def test_a_text_has_the_prompt_of_its_task(folder, arguments, prefix):
    edit_json(
        folder / "config_sentence_transformers.json",
        prompts={**PROMPTS, "any": "any "}, default_prompt_name="any",
    )  # fmt: skip
    found = MinibertTransformer(folder, **arguments).transform([QUERY, DOCUMENT])
    plain = MinibertTransformer(folder, prompt="")
    expected = plain.transform([prefix + QUERY, prefix + DOCUMENT])
    np.testing.assert_array_equal(found, expected)


def test_a_table_s_column_becomes_named_columns(folder, vectors_of_texts):
    table = pandas.DataFrame({"text": TEXTS, "page": range(12)}, index=range(100, 112))
    columns = ColumnTransformer(
        [("text", MinibertTransformer(folder), "text"), ("rest", "passthrough", ["page"])]
    ).set_output(transform="pandas")
    found = columns.fit_transform(table)
    assert list(found.columns[:2]) == [f"text__miniberttransformer{n}" for n in range(2)]
    assert list(found.columns[19:]) == ["text__miniberttransformer19", "rest__page"]
    assert list(found.index) == list(range(100, 112))
    np.testing.assert_array_equal(found.to_numpy(np.float32)[:, :20], vectors_of_texts)
    assert list(columns.get_feature_names_out()) == list(found.columns)
    (alone,) = (
        MinibertTransformer(folder).set_output(transform="pandas").transform(table["text"]),
    )
    assert list(alone.index) == list(range(100, 112))


def test_a_grid_tries_the_model_s_arguments(folder):
    steps = make_pipeline(MinibertTransformer(folder), LogisticRegression())
    grid = GridSearchCV(
        steps,
        {"miniberttransformer__truncate_dim": [4, None],
         "miniberttransformer__normalize_embeddings": [True, False]},
        cv=2, n_jobs=2, error_score="raise",
    )  # fmt: skip
    grid.fit(TEXTS, LABELS)
    best = grid.best_estimator_[0]
    assert best.get_params()["truncate_dim"] == grid.best_params_[
        "miniberttransformer__truncate_dim"
    ]  # fmt: skip
    assert best.transform(["a cat"]).shape == (1, best.truncate_dim or 20)
    again = pickle.loads(pickle.dumps(grid))
    assert list(again.predict(TEXTS)) == list(grid.predict(TEXTS))


def test_clones_and_pickles_hold_names_and_no_weights(folder, vectors_of_texts):
    opened = MinibertTransformer(folder, threads=1).fit()
    content = pickle.dumps(opened)
    assert len(content) < 1000
    for copy in (clone(opened), pickle.loads(content)):
        assert not hasattr(copy, "model_")
        assert copy.get_params() == opened.get_params()
        np.testing.assert_array_equal(copy.transform(TEXTS), vectors_of_texts)
    assert opened.model_.transformer.threads == 1


def test_a_pickle_is_not_used_with_another_model(folder, tmp_path):
    steps = make_pipeline(MinibertTransformer(folder), LogisticRegression()).fit(TEXTS, LABELS)
    content = pickle.dumps(steps)
    folder.rename(tmp_path / "gone")
    copy_of("relu", tmp_path).rename(folder)
    copy = pickle.loads(content)
    for _ in range(2):  # a failed try leaves no model behind
        with pytest.raises(CorpusError, match=f"fitted transformer's vectors are not of {folder}"):
            copy.predict(TEXTS)
    assert list(copy.fit(TEXTS, LABELS).predict(TEXTS)) == list(copy.predict(TEXTS))
    unfitted = pickle.loads(pickle.dumps(MinibertTransformer(folder)))
    assert unfitted.transform(TEXTS).shape == (12, 20)


def test_set_params_counts_from_the_next_fit(folder):
    vectors = MinibertTransformer(folder)
    assert vectors.transform(["a cat"]).shape == (1, 20)
    assert vectors.set_params(truncate_dim=8).fit_transform(["a cat"]).shape == (1, 8)
    assert len(vectors.get_feature_names_out()) == 8
    with pytest.raises(ValueError, match="Invalid parameter 'sorts'"):
        vectors.set_params(sorts=True)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("cats", TypeError, "The texts are one str, 'cats'; expected a list of them"),
        (pandas.Series(["a", None]), TypeError, "Text 1 of 2 is "),
        (pandas.DataFrame({"a": TEXTS, "b": TEXTS}), ValueError,
         r"the shape \(12, 2\); expected one column. In a ColumnTransformer, name one"),
        (np.zeros((2, 1, 1)), ValueError, r"the shape \(2, 1, 1\); expected one column"),
        (np.zeros((2, 1)), TypeError, "Text 0 of 2 is a"),
    ],
)  # fmt: skip
def test_what_is_no_column_of_texts_is_refused(folder, given, error, message):
    with pytest.raises(error, match=message):
        MinibertTransformer(folder).transform(given)


def test_another_task_is_refused(folder):
    with pytest.raises(ValueError, match="task is 'questions'; expected one of None, 'query', 'd"):
        MinibertTransformer(folder, task="questions").fit()

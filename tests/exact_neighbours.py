"""Whether a store finds the nearest documents, by the model's own metric in float64."""

import numpy as np

KNOWN = {}  # folder and metric of a model -> its scores, (q, n)


def assert_nearest(model, cranfield, found, k=10):
    """The ids found for each query, best first, have the scores of the k best documents."""
    scores = scores_of(model, cranfield)
    numbers = {id: number for number, id in enumerate(cranfield.documents)}
    assert [len(set(ids)) for ids in found] == [k] * len(scores)
    theirs = [[scores[row, numbers[id]] for id in ids] for row, ids in enumerate(found)]
    best = -np.sort(-scores, axis=1)[:, :k]
    # Of two documents that are this near to each other, float32 may have either first.
    np.testing.assert_allclose(theirs, best, atol=1e-6 * np.abs(scores).max())


def scores_of(model, cranfield):
    """Scores of all documents for each query, once for each model: (q, n)."""
    key = (str(model.folder.path), model.similarity_fn_name)
    if key not in KNOWN:
        queries = model.encode_query(list(cranfield.queries.values())).astype(np.float64)
        documents = model.encode_document(list(cranfield.documents.values())).astype(np.float64)
        KNOWN[key] = model.similarity(queries, documents)
    return KNOWN[key]

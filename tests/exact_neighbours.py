"""Whether a store finds the nearest documents, by the model's own metric in float64."""

import numpy as np


def assert_nearest(model, cranfield, found, k=10):
    """The ids found for each query, best first, have the scores of the k best documents."""
    queries = model.encode_query(list(cranfield.queries.values())).astype(np.float64)
    documents = model.encode_document(list(cranfield.documents.values())).astype(np.float64)
    scores = model.similarity(queries, documents)
    numbers = {id: number for number, id in enumerate(cranfield.documents)}
    assert [len(set(ids)) for ids in found] == [k] * len(queries)
    theirs = [[scores[row, numbers[id]] for id in ids] for row, ids in enumerate(found)]
    best = -np.sort(-scores, axis=1)[:, :k]
    # Of two documents that are this near to each other, float32 may have either first.
    np.testing.assert_allclose(theirs, best, atol=1e-6 * np.abs(scores).max())

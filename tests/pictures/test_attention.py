"""A picture of attention has the weights of its layer and head."""

import numpy as np
import pytest
from drawn import cells_of

from minibert.pictures.attention import attention_svg, first_tokens


@pytest.mark.parametrize("head", [0, 1, None])
def test_attention_is_that_of_the_layer_and_head(model, head):
    trace = model.trace("the cat and the dog")
    weights = trace["layer.1.attention"]
    expected = weights.mean(axis=0) if head is None else weights[head]
    cells = cells_of(attention_svg(trace, 1, head))
    size = len(trace.tokens.ids)
    # Drawn in the tokens' own order.
    drawn = np.array([value for _, value, *_ in cells]).reshape(size, size)
    np.testing.assert_allclose(drawn, expected, atol=5e-4)
    assert cells[1][0] == " × ".join(trace.tokens.tokens[:2])


def test_later_tokens_share_a_column_and_rows_sum_to_one(model):
    trace = model.trace("the cat and the dog")
    svg = attention_svg(trace, 0, 0, max_tokens=3)
    drawn = np.array([value for _, value, *_ in cells_of(svg)]).reshape(3, 4)
    np.testing.assert_allclose(drawn.sum(axis=1), 1, atol=2e-3)
    assert f"{len(trace.tokens.ids) - 3} later tokens" in svg
    weights = trace["layer.0.attention"]
    np.testing.assert_allclose(first_tokens(weights, 3)[:, :, :3], weights[:, :3, :3])
    assert first_tokens(weights, 99) is weights


def test_a_layer_or_head_that_is_not_there_is_refused(model):
    trace = model.trace("a cat")
    with pytest.raises(ValueError, match=r"no 'layer.9.attention'. It has layer.0.attention"):
        attention_svg(trace, 9)
    with pytest.raises(ValueError, match="no head -1: layer 0 has"):
        attention_svg(trace, 0, -1)
    with pytest.raises(ValueError, match="It has no attention"):
        attention_svg(model.trace("a cat", keep="embeddings.*"), 0)

"""An X-ray has the numbers of the trace."""

import base64

import numpy as np
from drawn import decoded_bytes

from minibert.pictures import xray as xray_module
from minibert.pictures.xray import as_bytes, as_shorts, xray


def test_an_x_ray_has_the_numbers_of_the_trace(model):
    ray = xray(model, "the cat and the dog", "query")
    trace = model.trace("the cat and the dog")
    before, after = trace["layer.0.output"], trace["layer.1.output"]
    half = trace["layer.1.attention_output"]
    np.testing.assert_allclose(ray["norms"][2], np.linalg.norm(after, axis=1), atol=1e-3)
    np.testing.assert_allclose(ray["moved"][1], np.linalg.norm(after - before, axis=1), atol=1e-3)
    np.testing.assert_allclose(
        ray["by_attention"][1], np.linalg.norm(half - before, axis=1), atol=1e-3
    )
    np.testing.assert_allclose(
        ray["by_feed_forward"][1], np.linalg.norm(after - half, axis=1), atol=1e-3
    )
    np.testing.assert_allclose(
        ray["norms"][0], np.linalg.norm(trace["embeddings.output"], axis=1), atol=1e-3
    )
    tokens = len(trace.tokens.ids)
    assert np.shape(ray["nearest"]) == (ray["layers"] + 1, tokens, 5)
    assert ray["tokens"] == trace.tokens.tokens
    weights = trace["layer.1.attention"]
    decoded = decoded_bytes(ray["attention"]).reshape(ray["layers"], *weights.shape)
    np.testing.assert_allclose(decoded[1], weights, atol=0.004)


def test_a_word_is_nearest_to_its_own_row_of_the_word_table(minilm):
    ray = xray(minilm, "dog", "query")
    assert ray["tokens"] == ["[CLS]", "dog", "[SEP]"]
    assert ray["nearest"][0][1][0] == "dog"
    assert ray["special"] == [True, False, True]


def test_an_x_ray_of_a_long_text_says_what_it_leaves_out(model, monkeypatch):
    text = "the cat and the dog"
    trace = model.trace(text)
    layers = sum(name.endswith(".attention") for name in trace)
    heads = len(trace["layer.0.attention"])
    monkeypatch.setattr(xray_module, "ATTENTION_BYTES", layers * heads * 4**2)
    ray = xray(model, text, "query")
    assert len(ray["tokens"]) == len(ray["norms"][0]) == len(ray["nearest"][0]) == 4
    assert ray["left_out"] == len(trace.tokens.ids) - 4
    decoded = decoded_bytes(ray["attention"]).reshape(layers, heads, 4, 5)
    np.testing.assert_allclose(decoded.sum(axis=-1), 1, atol=0.02)
    np.testing.assert_allclose(
        decoded[1, :, :, :4], trace["layer.1.attention"][:, :4, :4], atol=0.004
    )


def test_coded_numbers_come_back_within_what_is_promised():
    weights = np.linspace(0, 1, 1001)
    assert np.abs(decoded_bytes(as_bytes(weights)) - weights).max() <= 0.004
    values = np.array([[1.5, -3.0], [0.0, 1e-3]])
    coded, step = as_shorts(values)
    back = np.frombuffer(base64.b64decode(coded), "<i2").reshape(2, 2) * step
    assert np.abs(back - values).max() <= step / 2
    assert step <= 3.0 / 32767 * (1 + 1e-9)
    assert as_shorts(np.zeros((1, 1)))[1] == 1.0

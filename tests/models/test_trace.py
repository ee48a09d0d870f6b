"""One text on its way through a model: which arrays there are, and how each follows."""

import logging
import math
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from golden_files import GOLDEN

import minibert
from minibert import SentenceTransformer
from minibert.bert.forward import hidden_states
from minibert.bert.packs import packs
from minibert.kernels import cpu as kernels
from minibert.models.scheduler import Scheduler
from minibert.models.trace import rollout

TEXT = "the cats sat, the dog barks"
LAYERS = 3  # of the golden models, with 20 dimensions, 5 heads and 37 in the middle


@pytest.fixture
def passes(monkeypatch):
    """How many forward passes were run, one entry each."""
    run, compute = [], Scheduler._compute

    def counted(*arguments, **named):
        run.append(1)
        return compute(*arguments, **named)

    monkeypatch.setattr(Scheduler, "_compute", counted)
    return run


@pytest.mark.parametrize("name", ["gelu", "modules", "poolings", "plain", "sharded"])
def test_every_array_has_the_shape_that_was_said(name):
    trace = SentenceTransformer(GOLDEN / name).trace(TEXT)
    assert {name: array.shape for name, array in trace.items()} == trace.shapes
    assert {array.dtype for array in trace.values()} == {np.dtype(np.float32)}


def test_all_steps_are_shown_in_their_order(model):
    trace = model.trace("the cat")
    assert list(trace)[:11] == [
        "embeddings.word_embeddings", "embeddings.output",
        "layer.0.query", "layer.0.key", "layer.0.value",
        "layer.0.attention", "layer.0.context", "layer.0.attention_output", "layer.0.intermediate",
        "layer.0.output", "layer.1.query",
    ]  # fmt: skip
    assert list(trace)[-2:] == ["token_embeddings", "sentence_embedding"]
    assert len(trace) == 2 + 8 * LAYERS + 2
    sizes = [trace.shapes[f"layer.2.{step}"] for step in ("query", "attention", "intermediate")]
    assert sizes == [(4, 20), (5, 4, 4), (4, 37)]
    assert f"{'layer.2.attention':28} (5, 4, 4)" in repr(trace).splitlines()


def test_nothing_is_computed_before_an_array_is_asked_for(model, passes):
    trace = model.trace(TEXT)
    assert trace.tokens.tokens[:4] == ["[CLS]", "the", "cat", "##s"]
    assert (len(trace), len(list(trace)), len(repr(trace).splitlines())) == (28, 28, 28)
    assert trace.shapes["layer.1.attention"] == (5, 10, 10)
    assert "layer.1.attention" in trace
    assert "layer.1.attentions" not in trace
    assert passes == []


def test_the_model_is_run_once_whatever_is_asked_for(model, passes):
    trace = model.trace(TEXT)
    first = trace["layer.2.attention"]
    everything = dict(trace)
    assert passes == [1]
    assert trace["layer.2.attention"] is first is everything["layer.2.attention"]


@pytest.mark.parametrize("name", ["gelu", "relu", "large_epsilon"])
def test_states_and_attentions_are_those_of_the_padded_view(name, texts):
    model = SentenceTransformer(GOLDEN / name, on_long="ignore")
    bert = model[0].auto_model
    for text in texts:
        trace = model.trace(text)
        output = bert([trace.tokens.ids], output_hidden_states=True, output_attentions=True)
        outputs = ["embeddings.output", *(f"layer.{n}.output" for n in range(LAYERS))]
        for step, states in zip(outputs, output.hidden_states, strict=True):
            np.testing.assert_allclose(trace[step], states[0], rtol=0, atol=1e-6)
        for number, weights in enumerate(output.attentions):
            found = trace[f"layer.{number}.attention"]
            np.testing.assert_allclose(found, weights[0], rtol=0, atol=1e-6)
            np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-6)


def test_the_real_minilm_s_trace_equals_its_padded_outputs(minilm):
    trace = minilm.trace("A dog barks at the cats of London.")
    output = minilm[0].auto_model([trace.tokens.ids], output_hidden_states=True,
                                  output_attentions=True)  # fmt: skip
    for number in range(6):
        step = f"layer.{number}"
        states, weights = output.hidden_states[number + 1][0], output.attentions[number][0]
        np.testing.assert_allclose(trace[f"{step}.output"], states, rtol=0, atol=1e-6)
        np.testing.assert_allclose(trace[f"{step}.attention"], weights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["gelu", "modules", "poolings", "sharded", "plain"])
def test_the_vector_and_the_token_states_are_those_of_encode(name, texts):
    model = SentenceTransformer(GOLDEN / name, on_long="ignore", prompts={"q": "the cat "})
    for prompt, dimension in ((None, None), ("q", 5)):
        model.truncate_dim = dimension
        states = model.encode(texts, prompt_name=prompt, output_value="token_embeddings")
        vectors = model.encode(texts, prompt_name=prompt)
        for text, state, vector in zip(texts, states, vectors, strict=True):
            trace = model.trace(text, prompt_name=prompt)
            np.testing.assert_allclose(trace["token_embeddings"], state, rtol=0, atol=1e-5)
            np.testing.assert_allclose(trace["sentence_embedding"], vector, rtol=0, atol=1e-5)


def normalised(rows, weight, bias, epsilon):
    """Ba et al. (2016), in float64."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + epsilon) * weight + bias


def test_each_step_follows_from_those_before_it_by_the_textbook(model):
    parameters, epsilon = model.checkpoint.parameters, model.config.layer_norm_eps
    trace = model.trace(TEXT)
    steps = {name: array.astype(np.float64) for name, array in trace.items()}

    def same(name, expected):
        np.testing.assert_allclose(steps[name], expected, rtol=0, atol=2e-5, err_msg=name)

    same("embeddings.word_embeddings", parameters.word_embeddings[trace.tokens.ids])
    placed = (
        steps["embeddings.word_embeddings"]
        + parameters.types_and_positions[0, : len(trace.tokens.ids)]
    )
    same("embeddings.output", normalised(placed, *parameters[2:4], epsilon))
    hidden = steps["embeddings.output"]
    for number, layer in enumerate(parameters.layers):
        place = f"layer.{number}."
        qkv = np.split(hidden @ layer.qkv_weight + layer.qkv_bias, 3, axis=1)
        for name, expected in zip(("query", "key", "value"), qkv, strict=True):
            same(place + name, expected)
        q, k, v = (x.reshape(-1, 5, 4).transpose(1, 0, 2) for x in qkv)  # (H, T, D/H)
        weights = np.exp(q @ k.transpose(0, 2, 1))
        weights /= weights.sum(axis=-1, keepdims=True)
        same(place + "attention", weights)
        context = (weights @ v).transpose(1, 0, 2).reshape(-1, 20)
        same(place + "context", context)
        added = context @ layer.attention_output_weight + layer.attention_output_bias + hidden
        norm = layer.attention_norm_weight, layer.attention_norm_bias, epsilon
        middle = normalised(added, *norm)
        same(place + "attention_output", middle)
        wide = middle @ layer.intermediate_weight + layer.intermediate_bias
        wide *= np.vectorize(lambda x: (1 + math.erf(x / math.sqrt(2))) / 2)(wide)
        same(place + "intermediate", wide)
        added = wide @ layer.output_weight + layer.output_bias + middle
        hidden = normalised(added, layer.output_norm_weight, layer.output_norm_bias, epsilon)
        same(place + "output", hidden)
        hidden = steps[place + "output"]
    same("token_embeddings", hidden)
    same("sentence_embedding", hidden.mean(axis=0))


def test_a_trace_changes_nothing_that_encode_gives(model, texts):
    before = [model.encode(text) for text in texts]
    tables = [np.array(table) for table in model.checkpoint.parameters[:4]]
    for text in texts:
        dict(model.trace(text))
    for text, vector in zip(texts, before, strict=True):
        np.testing.assert_array_equal(model.encode(text), vector)
    for table, held in zip(model.checkpoint.parameters[:4], tables, strict=True):
        np.testing.assert_array_equal(table, held)


def test_no_two_arrays_of_a_trace_share_memory(model):
    arrays = list(dict(model.trace(TEXT)).values())
    for number, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in arrays[:number])


def test_only_what_matches_is_kept(model):
    trace = model.trace(TEXT, keep="layer.*.attention")
    assert list(trace) == [f"layer.{number}.attention" for number in range(LAYERS)]
    np.testing.assert_array_equal(
        trace["layer.1.attention"], model.trace(TEXT)["layer.1.attention"]
    )
    with pytest.raises(KeyError, match=r"no array 'layer.1.output'; trace.shapes"):
        trace["layer.1.output"]
    with pytest.raises(ValueError, match=r"keep is 'layer.9.\*', which is no array's name"):
        model.trace(TEXT, keep="layer.9.*")


def test_a_task_stands_for_its_prompt_and_its_maximum_length(folder, edit):
    edit(folder / "sentence_bert_config.json", query_length=6, document_length=13)
    model = SentenceTransformer(
        folder, prompts={"query": "the cat ", "document": "dog: "}, on_long="ignore"
    )
    text = "the dog barks at the cat and the cat barks"
    query, document = (model.trace(text, task=task) for task in ("query", "document"))
    assert (query.text, len(query.tokens.ids), query.prompt_length) == ("the cat " + text, 6, 3)
    assert (document.text, len(document.tokens.ids)) == ("dog: " + text, 13)
    assert query.tokens.truncated > 0
    for trace, vector in (
        (query, model.encode_query(text)),
        (document, model.encode_document(text)),
    ):
        np.testing.assert_allclose(trace["sentence_embedding"], vector, rtol=0, atol=1e-5)
    assert model.trace(text, task="query", prompt="a ").text == "a " + text
    assert model.trace(text).text == text


def test_of_a_pair_the_second_text_has_its_own_token_type(model):
    pair = ("the cat", "a dog")
    trace = model.trace(pair)
    assert trace.tokens.tokens == ["[CLS]", "the", "cat", "[SEP]", "a", "dog", "[SEP]"]
    vector = model.encode([pair])[0]
    np.testing.assert_allclose(trace["sentence_embedding"], vector, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "options", "error", "message"),
    [
        (["the cat", "a dog"], {}, TypeError, "got a list; it takes one text"),
        (None, {}, TypeError, "NoneType"),
        ("the cat", {"task": "passage"}, ValueError, "task is 'passage'; expected \"query\""),
        ("the cat", {"prompt_name": "nope"}, ValueError, "There is no prompt 'nope'"),
    ],
)
def test_what_cannot_be_meant_is_refused(model, inputs, options, error, message):
    with pytest.raises(error, match=message):
        model.trace(inputs, **options)


def test_a_trace_reports_truncation_as_encode_does(caplog):
    long = "the dog barks at the cat " * 10
    model = SentenceTransformer(GOLDEN / "gelu")
    with caplog.at_level(logging.WARNING):
        assert model.trace(long).tokens.truncated == 31
    assert "1 of 1 texts were longer than 41 tokens" in caplog.text
    model.on_long = "error"
    with pytest.raises(ValueError, match="longer than 41 tokens"):
        model.trace(long)


def test_a_text_above_the_positions_is_refused_as_encode_does(folder, edit):
    edit(folder / "sentence_bert_config.json", max_seq_length=None)
    edit(folder / "tokenizer_config.json", model_max_length=10**30)
    model = SentenceTransformer(folder)
    model.transformer.text_tokenizer.max_length = 10**6
    with pytest.raises(ValueError, match="A text has 72 tokens, and this model has 41 positions"):
        model.trace("the dog barks at the cat " * 10)["sentence_embedding"]


def test_a_pickled_model_traces_alike(model):
    again = pickle.loads(pickle.dumps(model))
    for name, array in again.trace(TEXT).items():
        np.testing.assert_array_equal(array, model.trace(TEXT)[name])


def test_hooks_see_the_arrays_themselves_and_no_copies(model):
    """No step copies an array that a trace keeps, and one that nobody watches copies none."""
    made, shown, called = [], {}, []
    (pack,) = packs(model.transformer.text_tokenizer.rows([TEXT], 41).ids, 1024)
    arguments = pack, model.transformer.parameters, model.config, recording(made, called)
    hidden_states(*arguments, hook=lambda name, array: shown.setdefault(name, array))
    of_layers = {name: shown[name] for name in model.trace(TEXT) if name.startswith("layer.")}
    assert len(of_layers) == 8 * LAYERS
    for name, array in of_layers.items():
        # Attention's weights are made and shown inside a kernel.
        assert name.endswith(".attention") or any(np.shares_memory(array, m) for m in made), name
    watched = called.copy()
    called.clear()
    hidden_states(*arguments)
    norm = ["linear", "add_and_normalise_"]
    a_layer = ["linear", "attend", *norm, "linear", "gelu_", *norm]
    assert called == ["buckets", "add_and_normalise_", *a_layer * LAYERS, "floats"]
    assert watched == called[1:]  # who watches costs no other step


def recording(made, called):
    """NumPy's kernels, which list what they return and who was called."""

    def recorded(name):
        def call(*arguments, **named):
            called.append(name)
            result = getattr(kernels, name)(*arguments, **named)
            made.extend(part for part in (result,) if isinstance(part, np.ndarray))
            return result

        return call

    return SimpleNamespace(**{name: recorded(name) for name in kernels.__all__})


def test_the_forward_pass_is_read_in_one_sitting():
    source = (Path(minibert.__file__).parent / "bert" / "forward.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) < 200


def test_rollout_by_hand():
    first = [[[1, 0], [0, 1]], [[0, 1], [1, 0]]]  # heads' mean: 0.5 everywhere
    second = [[[1, 0], [1, 0]], [[1, 0], [0, 1]]]  # [1, 0], [0.5, 0.5]
    # With half a residual: [0.75, 0.25], [0.25, 0.75] and [1, 0], [0.25, 0.75]; second @ first.
    flow = rollout([first, second])
    np.testing.assert_allclose(flow, [[0.75, 0.25], [0.375, 0.625]])


def test_rollout_of_a_trace_is_a_row_of_shares_for_each_token(model):
    trace = model.trace(TEXT, keep="layer.*.attention")
    flow = rollout(trace.values())
    assert flow.shape == (10, 10)
    assert flow.dtype == np.float32
    assert flow.min() > 0
    np.testing.assert_allclose(flow.sum(axis=1), 1, rtol=1e-5)


def test_rollout_refuses_what_is_no_attention():
    with pytest.raises(ValueError, match="no layer"):
        rollout([])
    with pytest.raises(ValueError, match=r"shape \(4, 4\); expected \(heads, T, T\)"):
        rollout([np.ones((4, 4))])

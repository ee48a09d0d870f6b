"""A model that can be trained: its gradients, whatever the packs, the threads and the passes."""

import logging

import numpy as np
import pytest
from differences import derivative, relative
from golden_files import GOLDEN, change_tensors, copy_of

from minibert import SentenceTransformer
from minibert.bert.dropout import Draws
from minibert.bert.parameters import Config
from minibert.models.room import pack_tokens_of
from minibert.models.trainable import Trainable
from minibert.training.losses import CosineSimilarityLoss, MarginMSELoss, MSELoss
from minibert.training.losses import MultipleNegativesRankingLoss as Ranking

WORDS = ["the", "cat", "dog", "sat", "barks", "at", "London", "in", "end", "a", "x", "zzz"]
NAMES = ["gelu", "albert", "electra", "mpnet", "roberta", "poolings", "modules"]


def texts_of(examples, columns=3, longest=12):
    """Columns of texts that differ in length; one has no word, one comes twice."""
    random = np.random.default_rng(8)
    made = [
        [" ".join(random.choice(WORDS, random.integers(1, longest))) for _ in range(examples)]
        for _ in range(columns)
    ]
    made[1][0], made[2 if columns > 2 else 1][-1] = "", made[0][0]
    return made


TEXTS, LABELS = texts_of(7), np.linspace(-2, 3, 7)
LOSS = MarginMSELoss(None)


def opened(folder, threads=1):
    return SentenceTransformer(str(folder), on_long="ignore", threads=threads)


def trainable(name, threads=1, **settings):
    return Trainable(opened(GOLDEN / name, threads), **{"dropout": False} | settings)


def gradients_of(model, loss, texts=TEXTS, labels=LABELS, step=3):
    """The loss of a batch and its gradients alone."""
    model.zero_gradients()
    value = model.add_gradients(texts, labels, loss, step)
    return value, model.gradients


def same_bits(found, expected):
    assert found[0] == expected[0]
    assert list(found[1]) == list(expected[1])
    for key, gradient in found[1].items():
        assert gradient.tobytes() == expected[1][key].tobytes(), key


def near(found, expected, of_largest=1e-11):
    """Equal to rounding in float64; key.bias has a gradient of 0."""
    assert found.keys() == expected.keys()
    for key, gradient in found.items():
        largest = max(np.abs(expected[key]).max(), 1e-3)
        np.testing.assert_allclose(
            gradient, expected[key], rtol=0, atol=of_largest * largest, err_msg=key
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_gradients_are_those_of_the_loss_of_encode(name):
    """By a difference along all tensors at once, in float64, of a loss that is not a mean."""
    model, random = trainable(name, dtype="float64"), np.random.default_rng(1)
    _, gradients = gradients_of(model, Ranking(None, scale=3.0))
    before = {key: value.copy() for key, value in model.values.items()}
    ways = {k: random.normal(size=g.shape) / (9 * g.size**0.5) for k, g in gradients.items()}
    place = np.zeros(1)

    def loss():
        for key, way in ways.items():
            model.values[key][...] = before[key] + place * way
        model.refresh()
        return gradients_of(model, Ranking(None, scale=3.0))[0]

    exact = sum((gradients[key] * way).sum() for key, way in ways.items())
    assert relative(derivative(loss, place, (0,)), exact) < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_a_mean_s_gradients_are_the_mean_of_single_examples(name):
    model = trainable(name, dtype="float64", pack_tokens=60)
    value, whole = gradients_of(model, LOSS)
    model.zero_gradients()
    values = [
        model.add_gradients([[c[n]] for c in TEXTS], LABELS[[n]], LOSS, 3, scale=1 / 7)
        for n in range(7)
    ]
    assert abs(value - np.mean(values)) < 1e-12 * abs(value)
    near(model.gradients, whole)


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [1, 40, 100])
@pytest.mark.parametrize("name", ["gelu", "albert", "modules"])
def test_packs_change_rounding_alone(name, tokens):
    for loss, texts in ((Ranking(None), TEXTS), (CosineSimilarityLoss(None), TEXTS[:2])):
        expected = gradients_of(trainable(name, dtype="float64"), loss, texts)
        model = trainable(name, dtype="float64", pack_tokens=tokens)
        value, found = gradients_of(model, loss, texts)
        assert abs(value - expected[0]) < 1e-12 * max(1, abs(value))
        near(found, expected[1])


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("name", ["gelu", "albert", "modules"])
def test_a_pack_kept_or_computed_again_gives_the_same_bits(name, dropout):
    settings = {"pack_tokens": 40, "dropout": dropout}
    expected = gradients_of(trainable(name, **settings), Ranking(None))
    for kept in (0, 200_000):  # none, and some of them
        found = gradients_of(trainable(name, kept_bytes=kept, **settings), Ranking(None))
        same_bits(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [Ranking(None), LOSS])
@pytest.mark.parametrize("name", ["gelu", "albert", "mpnet", "modules"])
def test_threads_change_no_bit(name, loss):
    settings = {"pack_tokens": 40, "dropout": True}
    expected = gradients_of(trainable(name, **settings), loss)
    for _ in range(3):
        same_bits(gradients_of(trainable(name, threads=2, **settings), loss), expected)


def draws_of(monkeypatch, steps=(0, 1, 2), **settings):
    """The draws of some steps: (seed, step), text, layer, place -> its bits."""
    found, keep = {}, Draws.keep

    def recorded(draws, text, layer, place, count, rate):
        bits = keep(draws, text, layer, place, count, rate)
        name = (draws, text, layer, place)
        assert found.setdefault(name, bits.tobytes()) == bits.tobytes()  # and on the way back
        return bits

    texts = texts_of(60, longest=26)
    with monkeypatch.context() as patched:
        patched.setattr(Draws, "keep", recorded)
        model = trainable("modules", dropout=True, seed=5, **settings)
        for step in steps:
            model.add_gradients(texts, np.zeros(60), LOSS, step)
    return found


@pytest.mark.slow
def test_packs_threads_and_resuming_draw_the_same_masks(monkeypatch):
    """Bit by bit; a run that begins anew at step 2 has the draws of that step."""
    expected = draws_of(monkeypatch, pack_tokens=1024)
    # Of a step and a text: the embeddings, three places of the one layer, and a module.
    assert len(expected) == 3 * 180 * 5
    assert {(draws.seed, draws.step) for draws, *_ in expected} == {(5, 0), (5, 1), (5, 2)}
    for settings in ({"pack_tokens": 256}, {"threads": 2}, {"threads": 2, "pack_tokens": 256}):
        assert draws_of(monkeypatch, **settings) == expected
    resumed = draws_of(monkeypatch, steps=[2], pack_tokens=256)
    assert resumed == {name: bits for name, bits in expected.items() if name[0].step == 2}


def test_dropout_changes_gradients_by_seed_and_step():
    def found(step=3, **settings):
        model = trainable("gelu", **{"dropout": True} | settings)
        gradients = gradients_of(model, LOSS, step=step)[1]
        return gradients["encoder.layer.0.output.dense.weight"].tobytes()

    assert found() == found()
    others = [found(step=4), found(seed=7), found(dropout=False)]
    assert len({found(), *others}) == 4


def test_a_module_s_dropout_acts_where_the_bert_has_none(tmp_path, edit):
    folder = copy_of("modules", tmp_path)
    edit(folder / "config.json", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0)
    values = [
        gradients_of(Trainable(opened(folder), dropout=dropout), LOSS)[0]
        for dropout in (False, True)
    ]
    assert values[0] != values[1]


def test_a_rate_that_is_none_is_refused_before_training(tmp_path, edit):
    folder = copy_of("gelu", tmp_path)
    edit(folder / "config.json", hidden_dropout_prob=1.5)
    with pytest.raises(ValueError, match=r"config.json: hidden_dropout_prob is 1.5"):
        Trainable(opened(folder))
    Trainable(opened(folder), dropout=False)


@pytest.mark.parametrize("name", ["gelu", "albert", "mpnet", "modules"])
def test_encode_sees_changes_after_a_refresh(name, tmp_path, texts):
    model = trainable(name)
    before = model.model.encode(texts)
    for value in model.values.values():
        value *= np.float32(1.25)
    model.refresh()
    after = model.model.encode(texts)
    assert (np.abs(after - before).max(axis=1) > 1e-3).all()
    folder = copy_of(name, tmp_path)
    for path in folder.rglob("*.safetensors"):
        change_tensors(path.parent, grow)
    np.testing.assert_array_equal(opened(folder).encode(texts), after)


def grow(tensors):
    """Multiply all tensors by 1.25."""
    for name, tensor in tensors.items():
        tensors[name] = tensor * np.float32(1.25)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*NAMES, "old_layout", "bfloat16", "sharded"])
def test_what_is_not_yet_trained_encodes_with_the_same_bits(name, dtype, texts):
    model = opened(GOLDEN / name)
    before = model.encode(texts)
    trained = Trainable(model, dtype=dtype)
    np.testing.assert_array_equal(model.encode(texts), before)
    trained.refresh()
    np.testing.assert_array_equal(model.encode(texts), before)


def test_the_forward_pass_of_training_is_that_of_encode(texts):
    """The mean squared error to the vectors of encode is 0, to rounding."""
    for name in NAMES:
        model = trainable(name)
        vectors = model.model.encode(texts)
        loss = model.add_gradients([texts], vectors, MSELoss(None), 0)
        assert loss < 1e-11 * np.square(vectors).mean()


@pytest.mark.parametrize("name", NAMES)
def test_all_but_the_pooler_has_a_gradient_of_its_shape(name):
    model = trainable(name)
    _, gradients = gradients_of(model, LOSS)
    assert {key for key in model.values if "pooler" not in key} == gradients.keys()
    for key, gradient in gradients.items():
        assert (gradient.shape, gradient.dtype) == (model.values[key].shape, np.float32)
    if name == "modules":
        assert {"1_Dense/linear.weight", "4_LayerNorm/norm.bias"} <= gradients.keys()


def test_a_fingerprint_is_of_all_that_training_depends_on(tmp_path, edit):
    folder = copy_of("gelu", tmp_path)
    first = Trainable(opened(folder)).fingerprint()
    assert Trainable(opened(GOLDEN / "gelu")).fingerprint() == first  # wherever it lies
    found = {first, trainable("gelu").fingerprint()}  # without dropout
    for file, changes in (
        ("sentence_bert_config.json", {"do_lower_case": True}),
        ("tokenizer_config.json", {"do_lower_case": True, "unk_token": "[MASK]"}),
        ("config.json", {"layer_norm_eps": 1e-6}),
        ("1_Pooling/config.json", {"pooling_mode": "max"}),
    ):
        before = (folder / file).read_bytes()
        edit(folder / file, **changes)
        found.add(Trainable(opened(folder)).fingerprint())
        (folder / file).write_bytes(before)
    change_tensors(folder, grow)
    found.add(Trainable(opened(folder)).fingerprint())
    assert len(found) == 7


def test_gradients_are_added_times_the_scale_and_forgotten():
    model = trainable("gelu")
    _, once = gradients_of(model, LOSS)
    once = {key: gradient.copy() for key, gradient in once.items()}
    model.add_gradients(TEXTS, LABELS, LOSS, 3, scale=0.5)
    for key, gradient in model.gradients.items():
        np.testing.assert_allclose(gradient, 1.5 * once[key], rtol=1e-5, atol=1e-7)
    _, again = gradients_of(model, LOSS)
    for key, gradient in once.items():
        np.testing.assert_array_equal(again[key], gradient)


def test_a_failing_loss_stops_the_step_and_the_next_one_works():
    class Failing(MarginMSELoss):
        def __call__(self, vectors, labels):
            raise ZeroDivisionError("in the loss")

    model = trainable("gelu", threads=2, pack_tokens=40)
    with pytest.raises(ZeroDivisionError):
        model.add_gradients(TEXTS, LABELS, Failing(None), 0)
    expected = trainable("gelu", threads=2, pack_tokens=40)
    same_bits(gradients_of(model, LOSS), gradients_of(expected, LOSS))


@pytest.mark.parametrize("failing", range(7))
def test_a_failing_pack_ends_the_step_with_its_error(failing):
    class Misshapen(MarginMSELoss):
        def __call__(self, vectors, labels):
            loss, gradients = super().__call__(vectors, labels)
            return loss, [g[:, : 5 if failing in labels else None] for g in gradients]

    model = trainable("gelu", threads=2, pack_tokens=1)
    with pytest.raises(ValueError, match="shape"):
        model.add_gradients(TEXTS, np.arange(7.0), Misshapen(None), 0)


def test_labels_that_do_not_fit_are_refused_before_a_pack():
    model = trainable("gelu")
    with pytest.raises(ValueError, match="needs a label for each example"):
        model.add_gradients(TEXTS, LABELS[:3], LOSS, 0)
    with pytest.raises(ValueError, match="needs a label for each example"):
        model.add_gradients(TEXTS, None, LOSS, 0)
    assert model.gradients == {}


@pytest.mark.parametrize(("on_long", "times"), [("warn", 1), ("window", 1), ("ignore", 0)])
def test_texts_that_are_truncated_are_told_once(on_long, times, caplog):
    model = Trainable(SentenceTransformer(str(GOLDEN / "gelu"), on_long=on_long))
    long = [["cat " * 60], ["dog"], ["a"]]
    with caplog.at_level(logging.WARNING):
        for step in range(2):
            model.add_gradients(long, LABELS[:1], LOSS, step)
    told = [record for record in caplog.records if "lost their ends" in record.message]
    assert len(told) == times


def test_texts_that_would_be_truncated_can_be_refused():
    model = Trainable(SentenceTransformer(str(GOLDEN / "gelu"), on_long="error"))
    with pytest.raises(ValueError, match="41 tokens"):
        model.add_gradients([["cat " * 60], ["dog"], ["a"]], LABELS[:1], LOSS, 0)
    assert model.gradients == {}


@pytest.mark.parametrize("name", ["modernbert", "nomic_bert"])
def test_a_family_with_rotary_positions_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"model_type is '{name}'; minibert trains models with"):
        trainable(name)


def test_a_pack_s_arrays_take_160_mib_at_most():
    """BERT-base keeps 12 layers of 6 * 768 + 3072 numbers a token; MiniLM's pack is full."""
    base = Config()
    assert pack_tokens_of(base) == (160 << 20) // (4 * 12 * 7680) == 455
    assert pack_tokens_of(base._replace(hidden_size=384, intermediate_size=1536)) == 910
    assert pack_tokens_of(base._replace(num_hidden_layers=2)) == 1024
    assert pack_tokens_of(base._replace(hidden_size=1 << 22)) == 1

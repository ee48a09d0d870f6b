"""AdamW in both forms and clipping against the textbook in float64, and what they refuse."""

import math

import numpy as np
import pytest
from bag_of_words import BagOfWords

from minibert import TrainingError
from minibert.kernels.cpu import BLOCK_FLOATS
from minibert.training import fit
from minibert.training.losses import CosineSimilarityLoss
from minibert.training.optimizers import (
    OPTIMIZERS,
    AdamW,
    TransformersAdamW,
    clip_,
    decays,
    decays_all,
    find_optimizer,
)

SHAPES = {"dense.weight": (7, 3), "dense.bias": (7,), "LayerNorm.weight": (3,), "scale": ()}


def drawn_values(dtype, shapes=SHAPES):
    random = np.random.default_rng(1)
    return {
        key: np.asarray(random.normal(size=shape), dtype=np.float32).astype(dtype)
        for key, shape in shapes.items()
    }


def drawn_gradients(steps, dtype, shapes=SHAPES):
    """Gradients of some steps, over six powers of ten, with zeros among them."""
    random = np.random.default_rng(2)
    for _ in range(steps):
        found = {}
        for key, shape in shapes.items():
            x = random.normal(size=shape) * 10.0 ** random.integers(-6, 1, size=shape)
            x *= random.random(shape) > 0.2
            found[key] = np.asarray(x, dtype=np.float32).astype(dtype)
        yield found


def textbook_adamw(value, gradients, lrs, decay, eps=1e-8):
    """One number and its gradients by torch's formula, in its order: -> the number at the end."""
    m = v = 0.0
    for t, (g, lr) in enumerate(zip(gradients, lrs, strict=True), 1):
        value = value * (1 - lr * decay)
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        value -= lr / (1 - 0.9**t) * m / (math.sqrt(v) / math.sqrt(1 - 0.999**t) + eps)
    return value


def textbook_adamw_hf(value, gradients, lrs, decay, eps=1e-6):
    """The same by transformers' formula."""
    m = v = 0.0
    for t, (g, lr) in enumerate(zip(gradients, lrs, strict=True), 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        value -= lr * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (math.sqrt(v) + eps)
        value -= lr * decay * value
    return value


TEXTBOOK = {"adamw": textbook_adamw, "adamw_hf": textbook_adamw_hf}
LRS = [0.0, *np.linspace(1e-2, 1e-3, 19).tolist()]


def expected_values(name, decay, decaying):
    """All numbers of all tensors after 20 steps, one by one."""
    values, gradients = drawn_values(np.float64), list(drawn_gradients(20, np.float64))
    for key, value in values.items():
        for place in np.ndindex(value.shape):
            series = [float(step[key][place]) for step in gradients]
            of_tensor = decay if decaying(key, value) else 0.0
            value[place] = TEXTBOOK[name](float(value[place]), series, LRS, of_tensor)
    return values


def trained_values(name, dtype, **settings):
    values = drawn_values(dtype)
    optimizer = OPTIMIZERS[name](values, **settings)
    for gradients, lr in zip(drawn_gradients(20, dtype), LRS, strict=True):
        optimizer.step(gradients, lr)
    return values


@pytest.mark.parametrize("decaying", [decays, decays_all])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_steps_equal_the_textbook_in_float64(name, decaying):
    values = trained_values(name, np.float64, weight_decay=0.3, decays=decaying)
    for key, expected in expected_values(name, 0.3, decaying).items():
        np.testing.assert_allclose(values[key], expected, rtol=0, atol=1e-14, err_msg=key)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_stays_float32_and_near_float64(name):
    values = trained_values(name, np.float32, weight_decay=0.3)
    exact = trained_values(name, np.float64, weight_decay=0.3)
    for key, value in values.items():
        assert value.dtype == np.float32
        # Each of 20 subtractions rounds a value below 4 to a multiple of 2^-22; the changes sum to
        # 0.1 at most, with a relative error of some 2^-24.
        np.testing.assert_allclose(value, exact[key], rtol=0, atol=20 * 2**-23 + 1e-7)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_numbers_of_numpy_change_no_bit_and_no_dtype(name):
    """A float64 of NumPy would turn float32 into float64, where a float of Python does not."""
    values, of_numpy = drawn_values(np.float32), drawn_values(np.float32)
    gradients = next(drawn_gradients(1, np.float32))
    OPTIMIZERS[name](values, weight_decay=0.3, eps=1e-7).step(gradients, 0.7)
    betas = np.float64(0.9), np.float64(0.999)
    settings = {"weight_decay": np.float64(0.3), "eps": np.float64(1e-7), "betas": betas}
    optimizer = OPTIMIZERS[name](of_numpy, **settings)
    optimizer.step(gradients, np.float64(0.7))
    for key, value in values.items():
        np.testing.assert_array_equal(of_numpy[key], value)
    averages = [x for key, x in optimizer.state.items() if key.startswith("exp_avg")]
    assert [x.dtype for x in averages] == [np.dtype(np.float32)] * 2 * len(values)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decay_below_float32_s_spacing_is_kept_on_average(name):
    """2e-8 of each value per step: 1 - 2e-8 is 1 in float32."""
    random = np.random.default_rng(3)
    shape = 100, 1000
    start = random.uniform(1, 2, size=shape).astype(np.float32)
    gradients = random.normal(size=(20, *shape)).astype(np.float32)
    ends = []
    for dtype in (np.float32, np.float64):
        values = {"w": start.astype(dtype)}
        optimizer = OPTIMIZERS[name](values, weight_decay=0.01)
        for gradient in gradients:
            optimizer.step({"w": gradient.astype(dtype)}, 2e-6)
        ends.append(values["w"].astype(np.float64))
    decayed = 20 * 2e-8 * start.mean()
    assert abs((ends[0] - ends[1]).mean()) < decayed / 20


def test_weight_decay_spares_biases_and_layer_norms():
    matrix, vector = np.zeros((2, 2)), np.zeros(2)
    assert decays("encoder.layer.0.output.dense.weight", matrix)
    assert decays("embeddings.token_type_embeddings.weight", matrix)
    assert not decays("embeddings.LayerNorm.weight", vector)
    assert not decays("encoder.layer.0.output.dense.bias", vector)
    assert not decays("encoder.relative_attention_Bias.weight", matrix)


def test_decay_without_gradient_s_step_shrinks_only_its_tensors():
    values = {key: np.ones(shape) for key, shape in SHAPES.items()}
    zeros = {key: np.zeros(shape) for key, shape in SHAPES.items()}
    AdamW(values, weight_decay=0.5).step(zeros, 0.1)
    assert {key: float(x.max()) for key, x in values.items()} == {
        "dense.weight": 0.95, "dense.bias": 1.0, "LayerNorm.weight": 1.0, "scale": 1.0
    }  # fmt: skip


def test_each_optimizer_has_its_own_eps():
    gradient = 1e-7
    for name, textbook in TEXTBOOK.items():
        values = {"x": np.array([1.0])}
        OPTIMIZERS[name](values, weight_decay=0.0).step({"x": np.array([gradient])}, 0.1)
        assert values["x"][0] == pytest.approx(textbook(1.0, [gradient], [0.1], 0.0), rel=1e-15)
        OPTIMIZERS[name](values, weight_decay=0.0, eps=1e9).step({"x": np.array([gradient])}, 0.1)
        assert values["x"][0] == pytest.approx(textbook(1.0, [gradient], [0.1], 0.0), rel=1e-15)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_learning_rate_of_0_changes_only_the_state(name):
    values, before = drawn_values(np.float32), drawn_values(np.float32)
    optimizer = OPTIMIZERS[name](values, weight_decay=0.3)
    optimizer.step(next(drawn_gradients(1, np.float32)), 0.0)
    for key, value in values.items():
        np.testing.assert_array_equal(value, before[key])
    assert np.any(optimizer.state["exp_avg.dense.weight"])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_tensor_without_gradient_is_left_alone(name):
    """It is neither stepped nor decayed, and its own steps are counted from its first gradient."""
    values = {"first.weight": np.ones((1, 1)), "late.weight": np.ones((1, 1))}
    optimizer = OPTIMIZERS[name](values, weight_decay=0.3)
    gradient = np.full((1, 1), 0.2)
    optimizer.step({"first.weight": gradient}, 1e-2)
    assert values["late.weight"] == 1
    assert set(optimizer.state) == {f"{n}.first.weight" for n in ("exp_avg", "exp_avg_sq", "step")}
    optimizer.step({"late.weight": gradient}, 1e-2)
    assert values["late.weight"] == values["first.weight"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_blocks_and_threads_change_no_bit(name):
    """A tensor of several blocks, one with rows longer than a block, and one without rows."""
    shapes = {"a": (5 * BLOCK_FLOATS // 64, 64), "b": (2, BLOCK_FLOATS + 1), "c": (0, 3)}
    gradients = next(drawn_gradients(1, np.float32, shapes))
    found = []
    for threads in (1, 2):
        values = drawn_values(np.float32, shapes)
        norm = clip_({key: x.copy() for key, x in gradients.items()}, 1e-3, threads)
        OPTIMIZERS[name](values, threads=threads).step(gradients, 1e-2)
        found.append((norm, values))
    rows = {"a": slice(70, 90), "b": slice(1, 2)}  # as if they were tensors of their own
    alone = {key: drawn_values(np.float32, shapes)[key][rows[key]] for key in rows}
    OPTIMIZERS[name](alone).step({key: gradients[key][rows[key]] for key in rows}, 1e-2)
    for key in shapes:
        np.testing.assert_array_equal(found[0][1][key], found[1][1][key])
    for key in rows:
        np.testing.assert_array_equal(alone[key], found[0][1][key][rows[key]])


def test_values_and_gradients_may_be_transposed_views():
    """A gradient often is one, as the weight it belongs to may be."""
    random = np.random.default_rng(4)
    value, gradient = random.normal(size=(2, 5, 3))
    plain, transposed = {"w": value.copy()}, {"w": value.T.copy().T}
    AdamW(plain).step({"w": gradient}, 1e-2)
    AdamW(transposed).step({"w": gradient.T.copy().T}, 1e-2)
    np.testing.assert_array_equal(plain["w"], transposed["w"])
    clipped, view = {"w": gradient.copy()}, {"w": gradient.T.copy().T}
    assert clip_(view, 0.1) == pytest.approx(clip_(clipped, 0.1), rel=1e-15)
    np.testing.assert_allclose(view["w"], clipped["w"], rtol=1e-14)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_loaded_state_goes_on_with_the_same_bits(name):
    values = drawn_values(np.float32)
    optimizer = OPTIMIZERS[name](values)
    gradients = list(drawn_gradients(6, np.float32))
    for of_step in gradients[:3]:
        optimizer.step(of_step, 1e-2)
    saved = {key: x.copy() for key, x in optimizer.state.items()}
    for x in saved.values():
        x.flags.writeable = False  # as of a mapped file
    resumed = {key: x.copy() for key, x in values.items()}
    other = OPTIMIZERS[name](resumed)
    other.load_state(saved)
    for of_step in gradients[3:]:
        optimizer.step(of_step, 1e-2)
        other.step(of_step, 1e-2)
    for key, value in values.items():
        np.testing.assert_array_equal(resumed[key], value)
    assert optimizer.state.keys() == other.state.keys() == saved.keys()
    assert [int(x) for key, x in other.state.items() if key.startswith("step.")] == [6] * 4


BROKEN_STATES = [
    (lambda state: state.pop("exp_avg_sq.b"), "lacks 'exp_avg_sq.b'"),
    (lambda state: state.pop("step.b"), "lacks 'step.b'"),
    (lambda state: state.update({"exp_avg.d": np.zeros(2)}), "has 'exp_avg.d'"),
    (lambda state: state.update({"moment.b": np.zeros(2)}), "has 'moment.b'"),
    (lambda state: state.update(step=np.zeros(())), "has 'step'"),
    (lambda state: state.update({"exp_avg.b": np.zeros(3)}), r"'exp_avg.b' .* \(3,\) .* \(2,\)"),
    (lambda state: state.update({"step.b": np.zeros(1)}), r"'step.b' .* \(1,\) .* \(\)"),
    (lambda state: state.update({"exp_avg.b": np.zeros(2, np.float32)}), "float32; .* float64"),
]


@pytest.mark.parametrize(("break_", "message"), BROKEN_STATES)
def test_a_state_that_does_not_fit_is_refused_by_name(break_, message):
    optimizer = AdamW({"b": np.ones(2)})
    optimizer.step({"b": np.ones(2)}, 1e-2)
    state = {key: x.copy() for key, x in optimizer.state.items()}
    break_(state)
    with pytest.raises(TrainingError, match=message):
        optimizer.load_state(state)
    assert optimizer.state["step.b"] == 1


BROKEN_GRADIENTS = [
    ({"c": np.ones(2)}, "'c' is of a tensor that is not trained"),
    ({"b": np.ones(3)}, r"'b' has the shape \(3,\)"),
    ({"b": np.ones(2, np.float32)}, "'b' has .* float32; expected .* float64"),
]


@pytest.mark.parametrize(("gradients", "message"), BROKEN_GRADIENTS)
def test_a_gradient_that_does_not_fit_is_refused_by_name(gradients, message):
    values = {"a": np.ones(2), "b": np.ones(2)}
    optimizer = AdamW(values)
    with pytest.raises(TrainingError, match=message):
        optimizer.step({"a": np.ones(2)} | gradients, 1e-2)
    assert np.all(values["a"] == 1)
    assert optimizer.state == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight_decay": -0.1}, "weight_decay is -0.1; expected a number 0 or above"),
        ({"eps": 0}, "eps is 0; expected a number above 0"),
        ({"eps": math.nan}, "eps is nan"),
        ({"eps": "1e-8"}, "eps is '1e-8'"),
        ({"betas": (0.9, 1.0)}, "betas is 1.0; expected a number from 0 to below 1"),
        ({"betas": (-0.1, 0.9)}, "betas is -0.1"),
        ({"betas": (0.9,)}, r"betas is \(0\.9,\); expected two numbers"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AdamW({}, **settings)


def test_an_unknown_optimizer_lists_the_known_ones():
    assert find_optimizer("adamw_hf") is TransformersAdamW
    with pytest.raises(ValueError, match="'sgd'; expected one of 'adamw', 'adamw_hf'"):
        find_optimizer("sgd")


class Momentum:
    """Gradient descent with momentum, and `eps` as its share of the step before."""

    def __init__(self, values, *, weight_decay, betas, eps, decays):
        self.values, self.share = values, eps
        self.state = {key: np.zeros_like(value) for key, value in values.items()}

    def load_state(self, state):
        for key, step in state.items():
            self.state[key][...] = step

    def step(self, gradients, lr):
        for key, gradient in gradients.items():
            self.state[key] *= np.float32(self.share)
            self.state[key] += np.float32(lr) * gradient
            self.values[key] -= self.state[key]


def test_an_optimizer_from_outside_trains_and_goes_on(monkeypatch, tmp_path):
    epochs = []

    def evaluator(model, output_path, epoch, steps):
        epochs.append(epoch)
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return 0.0

    monkeypatch.setitem(OPTIMIZERS, "momentum", Momentum)
    rows, loss = [("a b", "c", 0.5), ("d", "e a", 0.1)], CosineSimilarityLoss()
    given = {"lr": 0.1, "optimizer": "momentum", "eps": 0.5, "schedule": "constant", "epochs": 3}
    given |= {"output": tmp_path / "out", "save_best_model": False, "dropout": False}
    with pytest.raises(KeyboardInterrupt):
        fit(BagOfWords(), rows, loss, **given, evaluator=evaluator)
    model = BagOfWords()
    fit(model, rows, loss, **given, evaluator=evaluator)
    assert epochs == [0, 1, 1, 2]
    by_hand, step = BagOfWords().trainable(seed=42, dropout=False), 0
    for number in range(3):
        by_hand.add_gradients([["a b", "d"], ["c", "e a"]], np.array([0.5, 0.1]), loss, number)
        step = {k: 0.5 * (step and step[k]) + 0.1 * g for k, g in by_hand.gradients.items()}
        for key, change in step.items():
            by_hand.values[key] -= change
        by_hand.zero_gradients()
        by_hand.refresh()
    for key, value in model.values.items():
        np.testing.assert_allclose(value, by_hand.values[key], rtol=0, atol=1e-5)


def test_without_gradients_nothing_happens():
    AdamW({"a": np.ones(2)}).step({}, 1e-2)
    assert clip_({}, 1.0) == 0


def test_clipping_scales_to_the_norm_by_torch_s_formula():
    gradients = {"a": np.array([[3.0], [0.0]]), "b": np.array(4.0)}
    assert clip_(gradients, 0.5) == 5
    factor = 0.5 / (5 + 1e-6)
    assert gradients["a"].tolist() == [[3 * factor], [0]]
    assert gradients["b"] == 4 * factor


@pytest.mark.parametrize("max_norm", [5.1, math.inf])
def test_a_norm_below_the_limit_changes_no_gradient(max_norm):
    gradients = {"a": np.array([3.0, 0.0]), "b": np.array([4.0])}
    assert clip_(gradients, max_norm) == 5
    assert gradients["a"].tolist() == [3, 0]
    assert gradients["b"].tolist() == [4]


@pytest.mark.parametrize("max_norm", [1e-9, 1.0])
def test_gradients_of_zeros_stay_zeros(max_norm):
    gradients = {"a": np.zeros((2, 3), dtype=np.float32)}
    assert clip_(gradients, max_norm) == 0
    assert not gradients["a"].any()


def test_the_norm_of_float32_is_summed_in_float64():
    """In float32 the squares overflow, and 1 is lost beside 2^24."""
    gradients = {"a": np.array([1e30, 3e30], np.float32), "b": np.array([1e30], np.float32)}
    expected = math.sqrt(sum(float(x) ** 2 for g in gradients.values() for x in g))
    assert clip_(gradients, math.inf) == expected
    assert clip_({"a": np.array([4096.0, 1, 1, 1], np.float32)}, math.inf) == math.sqrt(2**24 + 3)
    clip_(gradients, 1.0)
    assert gradients["a"].dtype == np.float32


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_no_number_is_refused_by_name(bad):
    gradients = {"a": np.array([30.0]), "b": np.array([1.0, bad]), "c": np.array([bad])}
    with pytest.raises(TrainingError, match="2 of 3 gradients, the first of 'b'"):
        clip_(gradients, 1.0)
    assert gradients["a"] == 30


def test_a_norm_beyond_float64_is_refused():
    with pytest.raises(TrainingError, match="the sum of squares"), np.errstate(over="ignore"):
        clip_({"a": np.array([1e200])}, 1.0)


@pytest.mark.parametrize("max_norm", [0, -1.0, math.nan, None, True])
def test_a_largest_norm_that_is_not_positive_is_refused(max_norm):
    with pytest.raises(ValueError, match=f"max_norm is {max_norm}; expected a number above 0"):
        clip_({}, max_norm)

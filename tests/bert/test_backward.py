"""The backward pass against central differences in float64, on every tensor of every family."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from differences import derivative, relative
from golden_files import GOLDEN

from minibert.bert import backward
from minibert.bert.dropout import Draws, Dropout, Rates
from minibert.bert.families import FAMILIES, positions_of
from minibert.bert.hook import ForGradients
from minibert.bert.layout import read_parameters, stored_gradients
from minibert.bert.load import load_checkpoint
from minibert.bert.packs import packs
from minibert.bert.parameters import Parameters
from minibert.common.tensors_in_memory import TensorsInMemory
from minibert.kernels import cpu, cpu_gradients

NAMES = [
    "gelu", "large_epsilon", "relu", "silu", "gelu_new",
    "distilbert", "mpnet", "albert", "electra", "roberta", "xlm_roberta",
]  # fmt: skip
# Those that differ in more than an activation or a number.
DIFFERENT = ["gelu", "distilbert", "mpnet", "albert", "electra", "roberta"]
RATES = Rates(hidden=0.3, attention=0.2)
WORD = 11  # twice in a text, and in two others
# Of rounding: a loss of about 100 in float64, over a step of 3e-4.
CLOSE = 1e-6


def texts_of(config):
    """Ids of five texts: equal and differing lengths, one token, a word twice and in two texts."""
    random = np.random.default_rng(0)
    ids = [random.integers(5, min(config.vocab_size, 40), length) for length in (9, 9, 4, 7, 1)]
    ids[0][[2, 5]] = ids[1][3] = ids[3][0] = WORD
    return ids


class Recorder(dict):
    """Arrays that were kept, and the names of those that were used."""

    def __init__(self):
        super().__init__()
        self.used = set()

    def __getitem__(self, name):
        self.used.add(name)
        return super().__getitem__(name)

    def pop(self, name):
        self.used.add(name)
        return super().pop(name)


class Model:
    """A golden model's tensors, a pack of texts, and a loss: the states times random numbers."""

    def __init__(self, name, dropped=False, dtype="float64"):
        checkpoint = load_checkpoint(GOLDEN / name)
        self.config, self.family = checkpoint.config, FAMILIES[checkpoint.config.model_type]
        self.tensors = TensorsInMemory(checkpoint.tensors, dtype)
        ids = texts_of(self.config)
        types = [np.arange(len(row)) % min(self.config.type_vocab_size, 2) for row in ids]
        positions = [positions_of(row, self.config) for row in ids]
        (self.pack,) = packs(ids, 1024, positions=positions, token_types=types)
        shape = len(self.pack.ids), self.config.hidden_size
        self.given = np.random.default_rng(1).normal(size=shape).astype(dtype)
        self.dropout = None
        if dropped:
            texts = self.pack.order, self.pack.lengths
            # With these draws no input of a ReLU is within 1e-4 of 0, where it bends.
            self.dropout = Dropout(Draws(3, 5), RATES, *texts, dtype=dtype)
        self.parameters = read_parameters(self.family.layout, self.tensors, self.config)
        self.values = self.tensors.values
        self.kept, self.signs = Recorder(), []

    def keep(self, name, array):
        place, _, what = name.rpartition(".")
        if what == "intermediate_input" and self.config.hidden_act == "relu":
            self.signs.append(array > 0)
        if what in backward.KEPT and (what != "output" or place == "embeddings"):
            self.kept[name] = array

    def loss(self):
        """Compute the loss from the tensors as they are now."""
        self.parameters = read_parameters(self.family.layout, self.tensors, self.config)
        self.kept, self.signs = Recorder(), []
        states = self.family.forward(
            self.pack, self.parameters, self.config, cpu, hook=ForGradients(self.keep, self.dropout)
        )
        return float((states * self.given).sum())

    def gradients(self):
        """The gradients by the file's tensors, after a forward pass."""
        self.loss()
        sums, times = {}, Counter()

        def give(name, gradient, index=None):
            times[name] += 1
            if index is None:
                sums[name] = gradient
            else:
                sums[name] = np.zeros_like(getattr(self.parameters, name))
                rows = sums[name].reshape(-1, sums[name].shape[-1])
                np.add.at(rows, index, gradient)

        backward.hidden_states(
            self.given.copy(), self.pack, self.parameters, self.config, cpu, cpu_gradients,
            self.kept, self.dropout, give,
        )  # fmt: skip
        assert set(times.values()) == {1}
        layers = defaultdict(dict)
        for name in [name for name in sums if name.startswith("layer.")]:
            _, number, field = name.split(".")
            layers[int(number)][field] = sums.pop(name)
        found = Parameters(
            **dict.fromkeys(Parameters._fields[:4]) | sums,
            layers=tuple(type(self.parameters.layers[0])(**layers[n]) for n in sorted(layers)),
        )
        return stored_gradients(self.family.layout, found, self.tensors, self.config)

    def derivative(self, key, direction, step):
        """The derivative of the loss by central differences; None across a kink of ReLU."""
        seen = set()

        def loss():
            value = self.loss()
            seen.add(np.array(self.signs).tobytes())
            return value

        found = derivative(loss, self.values[key], direction, step)
        return found if len(seen) == 1 else None

    def agrees(self, key, direction, exact):
        """Hold a derivative against differences; return whether any has no kink between."""
        for step, floor in ((3e-4, 1e-4), (1e-5, 1e-2)):  # the shorter, the more it rounds
            found = self.derivative(key, direction, step)
            if found is not None:
                if is_key_bias(key):  # a shift of all keys changes no softmax
                    assert abs(found) < 1e-8  # worst seen 4e-10
                else:
                    assert relative(found, exact, floor) < CLOSE, key
                return True
        return False


def direction_of(value, random):
    """A direction in which all numbers of an array change, of length 1 or so."""
    return random.normal(size=value.shape) / np.sqrt(value.size)


def place_of(exact, key, random):
    """A place of a tensor whose gradient is not 0; of the WORD among the words' rows."""
    places = np.argwhere(exact)
    if "word_embeddings" in key:
        places = places[places[:, 0] == WORD]
    return tuple(map(int, random.choice(places)))


def is_key_bias(key):
    """Whether a tensor is the bias of keys, under any family's name."""
    return key.endswith(("key.bias", "k_lin.bias", "attn.k.bias"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dropped"), [(n, False) for n in NAMES] + [(n, True) for n in DIFFERENT]
)
def test_every_tensor_s_gradient_agrees_with_differences(name, dropped):
    """By a random direction of all numbers of a tensor, and by one number alone."""
    model, random = Model(name, dropped), np.random.default_rng(2)
    gradients = model.gradients()
    for key in gradients:
        exact, value = gradients[key], model.values[key]
        direction = direction_of(value, random)
        compared = model.agrees(key, direction, (exact * direction).sum())
        for place in [place_of(exact, key, random) for _ in range(6)]:
            if compared < 2:
                compared += model.agrees(key, place, exact[place])
        assert compared == 2
        if is_key_bias(key):
            np.testing.assert_allclose(exact, 0, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("relu", "distilbert")])
def test_all_tensors_together_agree_with_a_difference(name, dropped):
    """A change of all tensors at once; the two with a kink are in the test above."""
    model, random = Model(name, dropped), np.random.default_rng(5)
    gradients, before = model.gradients(), {key: x.copy() for key, x in model.values.items()}
    directions = {key: direction_of(exact, random) / 3 for key, exact in gradients.items()}
    way = np.zeros(1)

    def loss():
        for key, direction in directions.items():
            model.values[key][...] = before[key] + way * direction
        return model.loss()

    exact = sum((exact * directions[key]).sum() for key, exact in gradients.items())
    assert relative(derivative(loss, way, (0,)), exact) < CLOSE


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_but_the_pooler_has_a_gradient(name):
    model = Model(name)
    gradients = model.gradients()
    assert [key for key in model.values if "pooler" not in key] == list(gradients)
    for key, gradient in gradients.items():
        assert (gradient.shape, gradient.dtype) == (model.values[key].shape, np.float64)


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_no_text_uses_have_gradient_0(name):
    model = Model(name)
    used = {
        "word_embeddings": model.pack.ids,
        "position_embeddings": model.pack.positions,
        "token_type_embeddings": model.pack.token_types,
    }
    for key, gradient in model.gradients().items():
        for rows in (rows for table, rows in used.items() if table in key):
            nonzero = np.flatnonzero(gradient.any(axis=1))
            np.testing.assert_array_equal(nonzero, np.unique(rows), err_msg=key)


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_in_float32_are_near_float64_s(name, dropped):
    found, expected = Model(name, dropped, "float32").gradients(), Model(name, dropped).gradients()
    for key, exact in expected.items():
        assert found[key].dtype == np.float32
        largest = 1 if is_key_bias(key) else np.abs(exact).max()
        np.testing.assert_allclose(found[key], exact, rtol=0, atol=1e-4 * largest, err_msg=key)


@pytest.mark.parametrize("name", NAMES)
def test_all_that_is_kept_is_used_and_let_go(name):
    model = Model(name, dropped=True)
    model.loss()
    kept = set(model.kept)
    model.gradients()
    assert model.kept.used == kept
    assert model.kept == {}
    assert {key.rpartition(".")[2] for key in kept} == backward.KEPT


def test_the_way_back_changes_no_parameter_and_no_bit_of_itself():
    model = Model("electra", dropped=True)
    before = {key: value.copy() for key, value in model.values.items()}
    one, two = model.gradients(), model.gradients()
    for key, gradient in one.items():
        np.testing.assert_array_equal(gradient, two[key])
        np.testing.assert_array_equal(model.values[key], before[key])


def test_the_padding_token_in_a_text_gets_no_gradient():
    """As torch's padding_idx; golden models have it at 0, and their texts at some places."""
    model = Model("gelu")
    pad = model.config.pad_token_id
    ids = model.pack.ids.copy()
    ids[[1, 4]] = pad
    model.pack = model.pack._replace(ids=ids)
    found = model.gradients()["embeddings.word_embeddings.weight"]
    assert not found[pad].any()
    assert found[WORD].any()

"""A hook is shown what a trace names, and for a backward pass what the textbook has besides."""

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert.bert import families
from minibert.bert.families import positions_of
from minibert.bert.hook import ForGradients
from minibert.bert.load import load_checkpoint
from minibert.bert.packs import packs
from minibert.kernels import cpu as kernels
from minibert.kernels.activations import ACTIVATIONS
from minibert.models.sentence_transformer import SentenceTransformer

NORM_AFTER = ["gelu", "large_epsilon", "relu", "distilbert", "mpnet", "albert", "electra"]
FAMILIES = [*NORM_AFTER, "nomic_bert", "modernbert"]


def plain(function):
    """Make a hook of a function that is shown nothing for gradients."""
    return function


def no_hook(function):
    """Watch nothing."""


class Shown:
    """All that a hook is shown of three texts by a golden model, in float64, by name.

    `asking` makes a hook of a function.
    """

    def __init__(self, name, asking=ForGradients):
        checkpoint = load_checkpoint(GOLDEN / name)
        self.config, self.parameters = checkpoint.config, checkpoint.parameters
        random = np.random.default_rng(0)
        ids = [random.integers(5, self.config.vocab_size, length) for length in (9, 9, 4)]
        positions = [positions_of(row, self.config) for row in ids]
        (self.pack,) = packs(ids, 1024, positions=positions)
        self.arrays, self.dtypes = {}, set()
        hidden_states = families.FAMILIES[self.config.model_type].forward
        self.states = hidden_states(
            self.pack, self.parameters, self.config, kernels, asking(self.keep)
        )
        self.layers = self.parameters.layers

    def keep(self, name, array):
        """Copy an array; the second run of texts gets no name of its own."""
        self.dtypes.add(array.dtype)
        self.arrays.setdefault(name, array.astype(np.float64))

    def __getitem__(self, name):
        return self.arrays[name]

    def norm_is(self, name, rows):
        """Hold a layer norm's rows and deviations against the sum that it gets."""
        deviations = np.sqrt(rows.var(axis=1) + self.config.layer_norm_eps)
        expected = (rows - rows.mean(axis=1, keepdims=True)) / deviations[:, None]
        # Worst seen 6.4e-7, in rows of up to 3.1.
        np.testing.assert_allclose(self[f"{name}normalised"], expected, rtol=0, atol=5e-6)
        np.testing.assert_allclose(self[f"{name}deviation"], deviations, rtol=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_embeddings_norm_agrees_with_the_textbook(name):
    shown = Shown(name)
    table = shown.parameters.types_and_positions[shown.pack.token_types, shown.pack.positions]
    shown.norm_is("embeddings.", shown["embeddings.word_embeddings"] + table)


@pytest.mark.parametrize("name", [*NORM_AFTER, "nomic_bert"])
def test_a_norm_after_a_step_agrees_with_the_textbook(name):
    shown = Shown(name)
    before = shown["embeddings.output"]
    for number, layer in enumerate(shown.layers):
        place = f"layer.{number}."
        made = (
            shown[place + "context"] @ layer.attention_output_weight + layer.attention_output_bias
        )
        shown.norm_is(place + "attention_", made + before)
        middle = shown[place + "attention_output"]
        made = shown[place + "intermediate"] @ layer.output_weight + layer.output_bias
        shown.norm_is(place + "output_", made + middle)
        before = shown[place + "output"]


@pytest.mark.parametrize("name", [*NORM_AFTER, "nomic_bert"])
def test_normalised_rows_times_weight_plus_bias_are_the_norm(name):
    shown = Shown(name)
    for number, layer in enumerate(shown.layers):
        place = f"layer.{number}."
        made = shown[place + "attention_normalised"] * layer.attention_norm_weight
        expected = shown[place + "attention_output"]
        np.testing.assert_allclose(made + layer.attention_norm_bias, expected, rtol=0, atol=2e-6)


def test_a_norm_before_a_step_agrees_with_the_textbook():
    shown = Shown("modernbert")
    before = shown["embeddings.output"]
    for number, layer in enumerate(shown.layers):
        place = f"layer.{number}."
        if layer.attention_norm_weight is None:
            assert place + "attention_normalised" not in shown.arrays
        else:
            shown.norm_is(place + "attention_", before)
        shown.norm_is(place + "output_", shown[place + "attention_output"])
        before = shown[place + "output"]
    shown.norm_is(place + "final_", before)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_input_of_the_activation_is_the_widened_row(name):
    shown = Shown(name)
    for number, layer in enumerate(shown.layers):
        place = f"layer.{number}."
        rows = shown[place + "attention_output"]
        if name == "modernbert":
            rows = shown[place + "output_normalised"] * layer.output_norm_weight
            rows += layer.output_norm_bias
        wide = rows @ layer.intermediate_weight + layer.intermediate_bias
        found = shown[place + "intermediate_input"]
        np.testing.assert_allclose(found, wide, rtol=0, atol=1e-5)  # worst seen 2e-6


@pytest.mark.parametrize("name", FAMILIES)
def test_the_activated_input_is_the_intermediate(name):
    shown = Shown(name)
    for number in range(len(shown.layers)):
        inner = shown[f"layer.{number}.intermediate_input"].astype(np.float32)
        width = shown[f"layer.{number}.intermediate"].shape[1]
        activated, gate = inner[:, :width].copy(), inner[:, width:]
        ACTIVATIONS[shown.config.hidden_act](kernels, activated)
        activated *= gate if gate.size else 1
        np.testing.assert_array_equal(activated, shown[f"layer.{number}.intermediate"])


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("asking", [ForGradients, plain])
def test_a_hook_changes_no_state(name, asking):
    np.testing.assert_array_equal(Shown(name, asking).states, Shown(name, no_hook).states)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_plain_hook_is_shown_what_a_trace_names(name):
    trace = SentenceTransformer(GOLDEN / name).trace("the cat sat")
    assert list(Shown(name, plain).arrays) == list(trace)[:-2]  # the pooling comes after the pass


def test_a_layer_s_steps_are_shown_in_the_order_they_are_made():
    shown = Shown("gelu")
    names = list(shown.arrays)
    assert names[:4] == [
        "embeddings.word_embeddings",
        "embeddings.normalised", "embeddings.deviation", "embeddings.output"
    ]  # fmt: skip
    layer = [name.removeprefix("layer.1.") for name in names if name.startswith("layer.1.")]
    assert layer == [
        "query", "key", "value", "attention", "context", "attention_normalised",
        "attention_deviation", "attention_output", "intermediate_input", "intermediate",
        "output_normalised", "output_deviation", "output",
    ]  # fmt: skip
    assert shown["layer.1.output_deviation"].shape == (22,)
    assert shown.dtypes == {np.dtype(np.float32)}
    assert len(names) - len(Shown("gelu", plain).arrays) == 2 + 5 * len(shown.layers)

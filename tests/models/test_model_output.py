"""The output of a BertModel: a dict and a tuple at once, as transformers has it."""

import copy
import pickle

import numpy as np
import pytest

IDS = np.array([[2, 5, 6, 7, 3], [2, 6, 3, 0, 0]])


MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


@pytest.mark.parametrize(
    ("key", "error"),
    [(9, IndexError), (-9, IndexError), (1.5, TypeError), ("x", KeyError), (None, TypeError)],
)
def test_a_missing_key_raises_the_error_of_a_dict_or_tuple(bert_model, key, error):
    with pytest.raises(error):
        bert_model(IDS, MASK)[key]
    with pytest.raises(AttributeError, match="'BertOutput' object has no attribute 'nothing'"):
        _ = bert_model(IDS, MASK).nothing


def test_an_output_keeps_its_keys(bert_model):
    output = bert_model(IDS, MASK)
    for change in (
        lambda: output.pop("last_hidden_state"),
        lambda: output.update({}),
        lambda: output.setdefault("x", 1),
        lambda: output.__delitem__("last_hidden_state"),
        output.popitem,
        output.clear,
    ):
        with pytest.raises(TypeError, match="BertOutput keeps its keys"):
            change()
    output["pooler_output"] = "mine"
    assert output.pooler_output == output[1] == "mine"
    output.hidden_states = ("states",)
    assert output["hidden_states"] == ("states",)
    output["added"] = 1
    assert (output.added, list(output)[-1]) == (1, "added")
    assert copy.copy(output).added == output.copy().added == 1


def test_an_output_joins_with_dicts_as_a_dict_does(bert_model):
    output = bert_model(IDS, MASK)
    more = {"pooler_output": "mine", "added": 1}
    for joined, names in (
        (output | more, ["last_hidden_state", "pooler_output", "added"]),
        (more | output, ["pooler_output", "added", "last_hidden_state"]),
    ):
        assert type(joined) is type(output)
        assert list(joined) == names
        assert (joined.added, joined["added"], joined.hidden_states) == (1, 1, None)
    assert (output | more).pooler_output == "mine"
    assert (more | output).pooler_output is output.pooler_output
    assert "added" not in output
    for join in (lambda: output | 3, lambda: 3 | output):
        with pytest.raises(TypeError, match="unsupported operand"):
            join()
    output |= more
    assert (output.pooler_output, output.added) == ("mine", 1)


def test_an_output_can_be_read_from_its_end(bert_model):
    output = bert_model(IDS, MASK)
    assert list(reversed(output)) == ["pooler_output", "last_hidden_state"]
    assert [name for name, _ in reversed(output.items())] == list(reversed(output))
    assert next(reversed(output.values())) is output.pooler_output


def test_attributes_of_a_program_s_own_are_copied_too(bert_model):
    output = bert_model(IDS, MASK)
    output.seconds = 3
    for again in (pickle.loads(pickle.dumps(output)), copy.deepcopy(output), copy.copy(output)):
        assert again.seconds == 3
        assert "seconds" not in again


@pytest.mark.parametrize("mask", [MASK, MASK[:, ::-1]])
def test_an_output_survives_copies_and_pickles(bert_model, mask):
    output = bert_model(IDS, mask, output_hidden_states=True)
    for again in (pickle.loads(pickle.dumps(output)), copy.deepcopy(output), output.copy()):
        assert type(again) is type(output)
        assert list(again) == list(output)
        assert repr(again) == repr(output)
        np.testing.assert_array_equal(again[2][1], output.hidden_states[1])
        assert again.attentions is None
    assert repr(output).startswith("BertOutput(last_hidden_state=array(")
    assert "attentions=None" in repr(output)

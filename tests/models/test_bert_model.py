"""The transformers-shaped view: padding on either side, holes, and what is refused."""

import numpy as np
import pytest

from minibert import BertModel, CheckpointError, SentenceTransformer, Tokenizer

IDS = np.array([[2, 5, 6, 7, 3], [2, 6, 3, 0, 0]])
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def test_padding_changes_no_state_of_a_token(bert_model):
    together = bert_model(IDS, MASK).last_hidden_state
    alone = bert_model(IDS[1:, :3]).last_hidden_state
    np.testing.assert_allclose(together[1, :3], alone[0], rtol=0, atol=1e-5)  # seen 1e-6


def test_what_stands_under_the_padding_changes_nothing(bert_model):
    other = IDS.copy()
    other[1, 3:] = 9
    np.testing.assert_array_equal(
        bert_model(IDS, MASK).last_hidden_state, bert_model(other, MASK).last_hidden_state
    )


def test_without_a_mask_every_id_is_a_token(bert_model):
    whole = bert_model(IDS, np.ones_like(IDS)).last_hidden_state
    np.testing.assert_array_equal(bert_model(IDS).last_hidden_state, whole)
    assert not np.allclose(whole[1, 0], bert_model(IDS, MASK).last_hidden_state[1, 0], atol=1e-3)


def test_padding_on_the_left_moves_the_positions(bert_model):
    right = bert_model(IDS[1:, :3]).last_hidden_state[0]
    left = bert_model(np.array([[0, 0, 2, 6, 3]]), [[0, 0, 1, 1, 1]]).last_hidden_state[0, 2:]
    assert np.abs(left - right).max() > 0.1


def test_token_types_count_and_default_to_0(bert_model):
    zeros = bert_model(IDS, MASK).last_hidden_state
    explicit = bert_model(IDS, MASK, np.zeros_like(IDS)).last_hidden_state
    np.testing.assert_array_equal(explicit, zeros)
    ones = bert_model(IDS, MASK, np.ones_like(IDS)).last_hidden_state
    assert np.abs(ones - zeros)[MASK == 1].max() > 0.1


def test_small_packs_give_the_same_as_one(bert_model):
    kept = {"output_hidden_states": True, "output_attentions": True}
    one, many = bert_model(IDS, MASK, **kept), bert_model(IDS, MASK, **kept, pack_tokens=1)
    np.testing.assert_allclose(many.last_hidden_state, one.last_hidden_state, rtol=0, atol=1e-5)
    for a, b in zip(many.attentions + many.hidden_states, one.attentions + one.hidden_states,
                    strict=True):  # fmt: skip
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_rows_of_one_length_keep_their_attentions_apart(bert_model):
    ids = np.array([[2, 5, 3], [2, 6, 3], [2, 7, 3]])
    together = bert_model(ids, output_attentions=True).attentions
    for row in range(3):
        alone = bert_model(ids[row : row + 1], output_attentions=True).attentions
        for ours, theirs in zip(together, alone, strict=True):
            np.testing.assert_allclose(ours[row], theirs[0], rtol=0, atol=1e-5)


def test_nothing_is_kept_that_was_not_asked_for(bert_model):
    output = bert_model(IDS, MASK)
    assert output.hidden_states is None
    assert output.attentions is None


def test_the_last_hidden_state_is_the_last_of_all(bert_model):
    output = bert_model(IDS, MASK, output_hidden_states=True)
    np.testing.assert_array_equal(output.hidden_states[-1], output.last_hidden_state)


def test_the_pooler_refuses_a_row_that_begins_with_padding(bert_model):
    output = bert_model(IDS, MASK[:, ::-1])
    with pytest.raises(ValueError, match="Row 1 begins with padding"):
        _ = output.pooler_output


def test_a_model_without_pooler_says_so(old_folder):
    output = BertModel.from_pretrained(old_folder)(IDS, MASK)
    with pytest.raises(ValueError, match="has no pooler"):
        _ = output.pooler_output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_ids": IDS, "attention_mask": MASK * [[1], [0]]}, "Row 1 of attention_mask is all"),
        ({"input_ids": IDS, "attention_mask": MASK[:, :4]}, r"\(2, 4\); input_ids has \(2, 5\)"),
        ({"input_ids": IDS, "attention_mask": MASK * 2}, "values from 0 to 2; expected 0 to 1"),
        ({"input_ids": IDS + 80}, "values from 80 to 87; expected 0 to 82"),
        ({"input_ids": -IDS}, "values from -7 to 0"),
        ({"input_ids": IDS[0]}, r"shape \(5,\)"),
        ({"input_ids": IDS.astype(float)}, "float64"),
        ({"input_ids": np.zeros((0, 3), int)}, r"shape \(0, 3\)"),
        ({"input_ids": IDS, "token_type_ids": MASK * 3}, "token_type_ids has values from 0 to 3"),
        ({"input_ids": np.full((1, 42), 5)}, "42 columns; the model has 41 positions"),
    ],
)
def test_bad_arrays_are_refused(bert_model, arguments, message):
    with pytest.raises(ValueError, match=message):
        bert_model(**arguments)


KEPT = {"output_hidden_states": True, "output_attentions": True}
# The names of a BERT's outputs, and what there is of them in each call.
ASKED = [
    ({}, ["last_hidden_state", "pooler_output"]),
    (
        {"output_hidden_states": True},
        ["last_hidden_state", "pooler_output", "hidden_states"],
    ),
    (
        {"output_attentions": True},
        ["last_hidden_state", "pooler_output", "attentions", "cross_attentions"],
    ),
    (
        KEPT,
        ["last_hidden_state", "pooler_output", "hidden_states", "attentions", "cross_attentions"],
    ),
]


@pytest.mark.parametrize(("arguments", "names"), ASKED)
def test_an_output_is_a_dict_and_a_tuple_of_what_there_is(bert_model, arguments, names):
    output = bert_model(IDS, MASK, **arguments)
    assert isinstance(output, dict)
    assert list(output) == list(output.keys()) == list(dict(output)) == names
    assert len(output) == len(output.to_tuple()) == len(names)
    for place, name in enumerate(names):
        value = getattr(output, name)
        for same in (output[place], output[place - len(names)], output[name], output.get(name),
                     output.to_tuple()[place], list(output.values())[place]):  # fmt: skip
            assert same is value
        assert name in output
    assert [name for name, _ in output.items()] == names
    first, second = output[:2]
    assert (first is output.last_hidden_state, second is output.pooler_output) == (True, True)
    assert isinstance(output[1:], tuple)
    assert len(output[::-1]) == len(names)
    for absent in {"hidden_states", "attentions", "past_key_values"} - {*names}:
        assert getattr(output, absent) is None
        assert absent not in output
        assert output.get(absent, 7) == 7
    together = bert_model(IDS, MASK, **arguments, return_dict=False)
    assert type(together) is tuple
    assert len(together) == len(names)
    np.testing.assert_array_equal(together[1], output[1])


def test_config_json_says_what_a_call_leaves_open(folder, edit):
    edit(folder / "config.json", output_hidden_states=True, output_attentions=True)
    model = BertModel.from_pretrained(folder)
    assert list(model(IDS, MASK)) == ASKED[-1][1]
    assert list(SentenceTransformer(folder)[0].auto_model(IDS, MASK)) == ASKED[-1][1]
    asked = {"output_hidden_states": False, "output_attentions": False}
    assert list(model(IDS, MASK, **asked)) == ASKED[0][1]
    edit(folder / "config.json", return_dict=False, output_attentions=None)
    model = BertModel.from_pretrained(folder)
    assert type(model(IDS, MASK)) is tuple
    assert list(model(IDS, MASK, return_dict=True)) == ASKED[1][1]


def test_a_pooler_that_cannot_answer_moves_no_other_output(bert_model, old_folder):
    without = BertModel.from_pretrained(old_folder)
    for output, reason in (
        (bert_model(IDS, MASK[:, ::-1], **KEPT), "Row 1 begins with padding"),
        (without(IDS, MASK, **KEPT), "has no pooler"),
    ):
        assert list(output) == ASKED[-1][1]
        assert len(output) == 5
        assert output[2] is output.hidden_states is output["hidden_states"]
        assert output[-2] is output.attentions is output[3]
        assert output[:1][0] is output[0] is output.last_hidden_state
        assert "pooler_output" in output
        for asked in (
            lambda o=output: o.pooler_output,
            lambda o=output: o[1],
            lambda o=output: o["pooler_output"],
            lambda o=output: o.get("pooler_output"),
            lambda o=output: o[:2],
            lambda o=output: o.to_tuple(),
            lambda o=output: list(o.values()),
            lambda o=output: dict(o),
            lambda o=output: {} | o,
            lambda o=output: list(reversed(o.items())),
        ):
            with pytest.raises(ValueError, match=reason):
                asked()
    with pytest.raises(ValueError, match="has no pooler"):
        without(IDS, MASK, return_dict=False)


def test_a_pooler_that_is_not_wanted_leaves_its_output_none(folder, old_folder):
    for path in (folder, old_folder):  # also where the checkpoint lacks it
        model = BertModel.from_pretrained(path, add_pooling_layer=False)
        output = model(IDS, MASK, **KEPT)
        assert output.pooler_output is None
        assert list(output) == [name for name in ASKED[-1][1] if name != "pooler_output"]
        assert len(model(IDS, MASK, return_dict=False)) == 1
    kept = BertModel.from_pretrained(folder, add_pooling_layer=True)(IDS, MASK)
    assert kept.pooler_output.shape == (len(IDS), model.config.hidden_size)


def test_the_mean_of_the_real_tokens_is_the_vector(folder, texts):
    inputs = Tokenizer.from_pretrained(folder)(
        texts, padding=True, truncation=True, return_tensors="np"
    )
    states = BertModel.from_pretrained(folder)(**inputs).last_hidden_state
    mask = inputs["attention_mask"][:, :, None]
    vectors = (states * mask).sum(axis=1) / mask.sum(axis=1)
    ours = SentenceTransformer(folder, on_long="ignore").encode(texts)
    np.testing.assert_allclose(vectors, ours, rtol=0, atol=1e-5)  # worst seen 2e-6


def test_a_folder_without_bert_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        BertModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("tokens", [0, -5, 2.5, "x"])
def test_a_pack_of_no_tokens_is_refused(bert_model, tokens):
    with pytest.raises(ValueError, match=r"pack_tokens is .*; expected a whole number from 1 up"):
        bert_model(IDS, MASK, pack_tokens=tokens)


def test_rows_of_different_lengths_are_refused_with_a_way_out(bert_model):
    for arguments in ([[2, 5, 3], [2, 3]],), ([[2, 5], [2, 3]], [[1, 1], [1]]):
        with pytest.raises(ValueError, match="rows of different lengths; tokenise with padding"):
            bert_model(*arguments)


def test_a_name_of_transformers_that_is_missing_has_advice(bert_model):
    for name in ("forward", "save_pretrained", "num_parameters", "parameters", "state_dict"):
        with pytest.raises(
            AttributeError, match=rf"AutoModel has no attribute '{name}'; minibert "
        ):
            getattr(bert_model, name)
    with pytest.raises(AttributeError, match=r"^AutoModel has no attribute 'nothing'$"):
        bert_model.nothing  # noqa: B018

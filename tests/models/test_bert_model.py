"""The transformers-shaped view: padding on either side, holes, and what is refused."""

import copy
import pickle

import numpy as np
import pytest

from minibert import BertModel, CheckpointError, SentenceTransformer, Tokenizer

IDS = np.array([[2, 5, 6, 7, 3], [2, 6, 3, 0, 0]])
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


@pytest.fixture
def model(folder):
    return BertModel.from_pretrained(folder)


@pytest.fixture
def tokenizer(folder):
    return Tokenizer.from_pretrained(folder)


def test_padding_changes_no_state_of_a_token(model):
    together = model(IDS, MASK).last_hidden_state
    alone = model(IDS[1:, :3]).last_hidden_state
    np.testing.assert_allclose(together[1, :3], alone[0], rtol=0, atol=1e-5)  # seen 1e-6


def test_what_stands_under_the_padding_changes_nothing(model):
    other = IDS.copy()
    other[1, 3:] = 9
    np.testing.assert_array_equal(
        model(IDS, MASK).last_hidden_state, model(other, MASK).last_hidden_state
    )


def test_without_a_mask_every_id_is_a_token(model):
    whole = model(IDS, np.ones_like(IDS)).last_hidden_state
    np.testing.assert_array_equal(model(IDS).last_hidden_state, whole)
    assert not np.allclose(whole[1, 0], model(IDS, MASK).last_hidden_state[1, 0], atol=1e-3)


def test_padding_on_the_left_moves_the_positions(model):
    right = model(IDS[1:, :3]).last_hidden_state[0]
    left = model(np.array([[0, 0, 2, 6, 3]]), [[0, 0, 1, 1, 1]]).last_hidden_state[0, 2:]
    assert np.abs(left - right).max() > 0.1


def test_token_types_count_and_default_to_0(model):
    zeros = model(IDS, MASK).last_hidden_state
    explicit = model(IDS, MASK, np.zeros_like(IDS)).last_hidden_state
    np.testing.assert_array_equal(explicit, zeros)
    ones = model(IDS, MASK, np.ones_like(IDS)).last_hidden_state
    assert np.abs(ones - zeros)[MASK == 1].max() > 0.1


def test_small_packs_give_the_same_as_one(model):
    kept = {"output_hidden_states": True, "output_attentions": True}
    one, many = model(IDS, MASK, **kept), model(IDS, MASK, **kept, pack_tokens=1)
    np.testing.assert_allclose(many.last_hidden_state, one.last_hidden_state, rtol=0, atol=1e-5)
    for a, b in zip(many.attentions + many.hidden_states, one.attentions + one.hidden_states,
                    strict=True):  # fmt: skip
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_rows_of_one_length_keep_their_attentions_apart(model):
    ids = np.array([[2, 5, 3], [2, 6, 3], [2, 7, 3]])
    together = model(ids, output_attentions=True).attentions
    for row in range(3):
        alone = model(ids[row : row + 1], output_attentions=True).attentions
        for ours, theirs in zip(together, alone, strict=True):
            np.testing.assert_allclose(ours[row], theirs[0], rtol=0, atol=1e-5)


def test_nothing_is_kept_that_was_not_asked_for(model):
    output = model(IDS, MASK)
    assert output.hidden_states is None
    assert output.attentions is None


def test_the_last_hidden_state_is_the_last_of_all(model):
    output = model(IDS, MASK, output_hidden_states=True)
    np.testing.assert_array_equal(output.hidden_states[-1], output.last_hidden_state)


def test_the_pooler_refuses_a_row_that_begins_with_padding(model):
    output = model(IDS, MASK[:, ::-1])
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
def test_bad_arrays_are_refused(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model(**arguments)


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
def test_an_output_is_a_dict_and_a_tuple_of_what_there_is(model, arguments, names):
    output = model(IDS, MASK, **arguments)
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
    together = model(IDS, MASK, **arguments, return_dict=False)
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


@pytest.mark.parametrize(
    ("key", "error"),
    [(9, IndexError), (-9, IndexError), (1.5, TypeError), ("x", KeyError), (None, TypeError)],
)
def test_what_an_output_has_not_is_the_error_of_a_dict_or_tuple(model, key, error):
    with pytest.raises(error):
        model(IDS, MASK)[key]
    with pytest.raises(AttributeError, match="'BertOutput' object has no attribute 'nothing'"):
        _ = model(IDS, MASK).nothing


def test_an_output_keeps_its_keys(model):
    output = model(IDS, MASK)
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


def test_an_output_joins_with_dicts_as_a_dict_does(model):
    output = model(IDS, MASK)
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


def test_an_output_can_be_read_from_its_end(model):
    output = model(IDS, MASK)
    assert list(reversed(output)) == ["pooler_output", "last_hidden_state"]
    assert [name for name, _ in reversed(output.items())] == list(reversed(output))
    assert next(reversed(output.values())) is output.pooler_output


def test_attributes_of_a_program_s_own_are_copied_too(model):
    output = model(IDS, MASK)
    output.seconds = 3
    for again in (pickle.loads(pickle.dumps(output)), copy.deepcopy(output), copy.copy(output)):
        assert again.seconds == 3
        assert "seconds" not in again


@pytest.mark.parametrize("mask", [MASK, MASK[:, ::-1]])
def test_an_output_survives_copies_and_pickles(model, mask):
    output = model(IDS, mask, output_hidden_states=True)
    for again in (pickle.loads(pickle.dumps(output)), copy.deepcopy(output), output.copy()):
        assert type(again) is type(output)
        assert list(again) == list(output)
        assert repr(again) == repr(output)
        np.testing.assert_array_equal(again[2][1], output.hidden_states[1])
        assert again.attentions is None
    assert repr(output).startswith("BertOutput(last_hidden_state=array(")
    assert "attentions=None" in repr(output)


def test_a_pooler_that_cannot_answer_moves_no_other_output(model, old_folder):
    without = BertModel.from_pretrained(old_folder)
    for output, reason in (
        (model(IDS, MASK[:, ::-1], **KEPT), "Row 1 begins with padding"),
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


def test_the_mean_of_the_real_tokens_is_the_vector(folder, texts):
    inputs = Tokenizer.from_pretrained(folder)(
        texts, padding=True, truncation=True, return_tensors="np"
    )
    states = BertModel.from_pretrained(folder)(**inputs).last_hidden_state
    mask = inputs["attention_mask"][:, :, None]
    vectors = (states * mask).sum(axis=1) / mask.sum(axis=1)
    ours = SentenceTransformer(folder, on_long="ignore").encode(texts)
    np.testing.assert_allclose(vectors, ours, rtol=0, atol=1e-5)  # worst seen 2e-6


def test_one_text_gives_one_row_of_arrays_or_a_list(tokenizer):
    assert tokenizer("the cat", return_tensors="np")["input_ids"].shape == (1, 4)
    assert tokenizer("the cat")["attention_mask"] == [1, 1, 1, 1]
    assert tokenizer(["the cat"])["attention_mask"] == [[1, 1, 1, 1]]


def test_texts_of_different_lengths_are_lists_without_padding(tokenizer):
    found = tokenizer(["the", "the cat"])
    assert [len(row) for row in found["input_ids"]] == [3, 4]
    assert found["token_type_ids"] == [[0] * 3, [0] * 4]


def test_padding_to_a_maximum_length_fills_up(tokenizer):
    found = tokenizer(["the"], padding="max_length", max_length=7, return_tensors="np")
    assert found["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0, 0]]
    assert found["input_ids"].tolist()[0][3:] == [0] * 4


def test_truncation_takes_max_length_or_the_model_s(tokenizer):
    assert tokenizer("a " * 100, truncation=True, return_tensors="np")["input_ids"].shape == (1, 41)
    assert len(tokenizer("a " * 100, truncation=True, max_length=5)["input_ids"]) == 5
    assert len(tokenizer("a " * 100)["input_ids"]) == 102


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"return_tensors": "pt"}, 'pass "np"'),
        ({"padding": "longer"}, "padding is 'longer'"),
        ({"padding_side": "top"}, "padding_side is 'top'"),
        ({"return_tensors": "np"}, "different lengths; pass padding=True"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(tokenizer, arguments, message):
    with pytest.raises(ValueError, match=message):
        tokenizer(["the", "the cat"], **arguments)


def test_what_is_no_text_is_refused(tokenizer):
    with pytest.raises(TypeError, match="Text 1 of 2 is a int"):
        tokenizer(["a", 1])


@pytest.mark.parametrize(
    "given", [None, 3, b"the cat", {"the cat": 1}, {"the cat", "a dog"}, np.array("a")]
)
def test_what_has_no_texts_in_an_order_is_refused(tokenizer, given):
    for arguments in ((given,), (["a"], given)):
        if arguments != (["a"], None):
            with pytest.raises(TypeError, match=f" got a {type(given).__name__} "):
                tokenizer(*arguments)
    assert tokenizer(text for text in ["the cat"]) == tokenizer(["the cat"])


def test_a_folder_without_bert_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        BertModel.from_pretrained(tmp_path)


def test_pairs_have_token_types(tokenizer):
    one = tokenizer("the cat", "a dog")
    assert one["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]
    several = tokenizer(["the cat", "a"], ["a dog", "b"], padding=True, return_tensors="np")
    assert several["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]]
    assert tokenizer([("the cat", "a dog")])["input_ids"] == [one["input_ids"]]
    ragged = tokenizer([("the cat", "a dog"), "a"])
    assert [len(row) for row in ragged["token_type_ids"]] == [7, 3]
    assert ragged["token_type_ids"][0] == one["token_type_ids"]
    cut = tokenizer("the cat sat", "a dog", truncation="longest_first", max_length=6)
    assert len(cut["input_ids"]) == 6


def test_texts_and_second_texts_that_do_not_match_are_refused(tokenizer):
    for texts, seconds in ((["a"], ["b", "c"]), ([("a", "b")], ["c"])):
        with pytest.raises(ValueError, match=r"There are 1 texts and [12] second ones"):
            tokenizer(texts, seconds)


def test_words_and_ids_turn_into_each_other(tokenizer):
    assert tokenizer.tokenize("The cats") == ["the", "cat", "##s"]
    ids = tokenizer.encode("The cats")
    assert tokenizer.encode("The cats", add_special_tokens=False) == ids[1:-1]
    assert tokenizer.encode("The cats", truncation=True, max_length=3) == [*ids[:2], ids[-1]]
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "the", "cat", "##s", "[SEP]"]
    assert tokenizer.convert_ids_to_tokens(ids[1]) == "the"
    assert tokenizer.convert_tokens_to_ids(["the", "nowhere"]) == [ids[1], tokenizer.unk_token_id]
    assert tokenizer.decode(ids) == "[CLS] the cats [SEP]"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "the cats"
    assert tokenizer.decode(ids[1]) == "the"


def test_ids_of_numpy_are_ids_and_of_none_there_is_no_text(tokenizer):
    assert tokenizer.decode(np.array([5, 6])) == "the cat"
    assert tokenizer.convert_ids_to_tokens(np.array([5, 6])) == ["the", "cat"]
    assert tokenizer.convert_ids_to_tokens(np.int64(5)) == "the"
    assert tokenizer.convert_ids_to_tokens(iter([5, 6])) == ["the", "cat"]
    assert (tokenizer.decode([]), tokenizer.convert_ids_to_tokens([])) == ("", [])
    assert tokenizer.convert_tokens_to_ids(token for token in ["cat"]) == [6]


@pytest.mark.parametrize(
    "ids", [-1, 1 << 32, 10**30, 2.5, "5", None, [-1], [1.5], [[1, 2]], [[1], [1, 2]], [None]]
)
def test_ids_that_are_no_whole_numbers_are_refused(tokenizer, ids):
    for ask in (tokenizer.decode, tokenizer.convert_ids_to_tokens):
        with pytest.raises(ValueError, match=r"expected whole numbers from 0 up, an id or a list"):
            ask(ids)


@pytest.mark.parametrize("text", [None, 5, b"cat", ["cat"], ("a", "b"), {"text": "cat"}])
def test_what_is_no_text_has_no_pieces(tokenizer, text):
    with pytest.raises(TypeError, match=rf"tokenize\(\) got a {type(text).__name__} "):
        tokenizer.tokenize(text)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (None, r"convert_tokens_to_ids\(\) got a NoneType"),
        (5, r"convert_tokens_to_ids\(\) got a int"),
        (b"cat", r"convert_tokens_to_ids\(\) got a bytes"),
        (["cat", 5], "Text 1 of 2 is a int"),
        ([("cat", "dog")], "Text 0 of 1 is a pair"),
    ],
)
def test_what_is_no_piece_has_no_id(tokenizer, tokens, message):
    with pytest.raises(TypeError, match=message):
        tokenizer.convert_tokens_to_ids(tokens)


def test_half_of_a_surrogate_pair_is_no_text_for_pieces(tokenizer):
    for ask in (tokenizer.tokenize, tokenizer.convert_tokens_to_ids):
        with pytest.raises(ValueError, match="Text 0 of 1 has a lone surrogate"):
            ask("\ud800")


@pytest.mark.parametrize(
    "model",
    [
        {"type": "WordPiece", "vocab": {"[CLS]": 2, "[SEP]": 3, "a": 6}, "unk_token": "[UNK]"},
        {"type": "Unigram", "vocab": [["a", -1.0]], "unk_id": None},
    ],
)
def test_a_text_that_cannot_be_split_is_said_of_its_pieces(folder, edit, model):
    edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    more = {"continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    edit(folder / "tokenizer.json", model=more | model)
    tokenizer = Tokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("a") == ["a"]
    with pytest.raises(ValueError, match="tokenizer cannot split a text"):
        tokenizer.tokenize("the cat")


@pytest.mark.parametrize("length", [0, -1, 2.5, "5", True])
def test_a_length_that_is_none_is_refused(tokenizer, length):
    for arguments in ({"truncation": True}, {"padding": "max_length"}, {}):
        with pytest.raises(ValueError, match=r"max_length is .*; expected a whole number from 1"):
            tokenizer("the cat", max_length=length, **arguments)


@pytest.mark.parametrize("tokens", [0, -5, 2.5, "x"])
def test_a_pack_of_no_tokens_is_refused(model, tokens):
    with pytest.raises(ValueError, match=r"pack_tokens is .*; expected a whole number from 1 up"):
        model(IDS, MASK, pack_tokens=tokens)


def test_rows_of_different_lengths_are_refused_with_a_way_out(model):
    for arguments in ([[2, 5, 3], [2, 3]],), ([[2, 5], [2, 3]], [[1, 1], [1]]):
        with pytest.raises(ValueError, match="rows of different lengths; tokenise with padding"):
            model(*arguments)


def test_special_tokens_and_sizes_have_their_names(tokenizer):
    assert (tokenizer.cls_token, tokenizer.cls_token_id) == ("[CLS]", 2)
    assert (tokenizer.sep_token_id, tokenizer.pad_token_id, tokenizer.mask_token_id) == (3, 0, 4)
    assert tokenizer.bos_token is tokenizer.bos_token_id is None
    assert tokenizer.all_special_ids == [1, 3, 0, 2, 4]  # in transformers' order
    assert tokenizer.vocab_size == len(tokenizer) == len(tokenizer.get_vocab()) == 82
    assert tokenizer.padding_side == "right"
    for name in ("nothing", "odd_token", "odd_token_id"):
        with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
            getattr(tokenizer, name)


def test_a_truncation_of_another_kind_is_refused(tokenizer):
    with pytest.raises(ValueError, match="truncation is 'only_first'; expected True or False"):
        tokenizer("a", truncation="only_first")

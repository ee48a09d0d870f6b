"""A folder's tokenizer: added and special tokens, lengths and sides, and what is refused."""

import numpy as np
import pytest
from golden_files import REMOVED
from tokenizing import ids_of, load, tokens_of

from minibert import SentenceTransformer
from minibert.errors import CheckpointError
from minibert.tokens.load import load_tokenizer


def test_the_transformer_s_do_lower_case_beats_the_tokenizer_s(folder, edit):
    edit(folder / "tokenizer_config.json", do_lower_case=False)
    assert tokens_of(load(folder, do_lower_case=True), "Cat É") == ["cat", "é"]


def test_an_added_token_is_cut_out_before_the_text_is_split(folder, edit):
    token = {
        "content": "thecat", "single_word": False, "lstrip": False, "rstrip": False,
        "normalized": False, "special": False,
    }  # fmt: skip
    edit(folder / "tokenizer_config.json", added_tokens_decoder={"12": token})
    assert "thecat" in [
        token.content for token in load(folder).backend.get_added_tokens_decoder().values()
    ]
    assert tokens_of(load(folder), "xthecaty")[1] == "thecat"


@pytest.mark.parametrize(
    ("max_seq_length", "model_max_length", "expected"),
    [
        (17, 30, 17),  # sentence_bert_config.json beats all
        (35, 30, 35),
        (None, 30, 30),
        (None, 512, 41),  # never beyond the positions
        (None, 1e30, 41),
        (1000, 30, 41),
    ],
)
def test_the_maximum_length_follows_the_reference(
    folder, edit, max_seq_length, model_max_length, expected
):
    edit(folder / "tokenizer_config.json", model_max_length=model_max_length)
    assert load(folder, max_seq_length=max_seq_length).max_length == expected


def test_a_special_token_given_as_an_object_is_understood(folder, edit):
    edit(folder / "tokenizer_config.json", cls_token={"content": "[MASK]", "lstrip": False})
    assert load(folder).backend.encode("").tokens == ["[MASK]", "[SEP]"]


def test_special_tokens_map_counts_without_added_tokens_alone(folder, edit):
    edit(folder / "special_tokens_map.json", sep_token={"content": "[MASK]"})
    assert load(folder).backend.encode("").tokens == ["[CLS]", "[MASK]"]
    edit(folder / "tokenizer_config.json", added_tokens_decoder={})
    assert load(folder).backend.encode("").tokens == ["[CLS]", "[SEP]"]


def test_added_tokens_json_and_extra_special_tokens_are_cut_out(old_folder, edit):
    edit(old_folder / "added_tokens.json", cat=6)
    edit(old_folder / "tokenizer_config.json", additional_special_tokens=["dog"])
    assert tokens_of(load(old_folder), "xcaty xdogy") == ["x", "cat", "y", "x", "dog", "y"]


def test_tokenizer_class_of_config_json_counts_if_no_other_does(folder, edit):
    edit(folder / "config.json", tokenizer_class="BertJapaneseTokenizer")
    load(folder)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(CheckpointError, match="'BertJapaneseTokenizer'; minibert builds"):
        load(folder)


@pytest.mark.parametrize(("key", "value"), [("truncation_side", "top"), ("padding_side", "top")])
def test_a_side_that_there_is_not_is_refused(folder, edit, key, value):
    edit(folder / "tokenizer_config.json", **{key: value})
    with pytest.raises(CheckpointError, match=key):
        load(folder)


def test_the_padding_id_is_that_of_the_folder_s_pad_token(folder, edit):
    assert load(folder).pad_id == 0
    edit(folder / "tokenizer_config.json", pad_token="[MASK]")
    assert load(folder).pad_id == 4


def test_max_len_is_an_older_name_of_model_max_length(folder, edit, removed):
    edit(folder / "tokenizer_config.json", model_max_length=removed, max_len=7)
    assert load(folder).max_length == 7
    edit(folder / "tokenizer_config.json", model_max_length=9)
    assert load(folder).max_length == 9


def test_a_special_token_given_as_an_object_keeps_its_flags(old_folder, edit):
    mask = {"__type": "AddedToken", "content": "[MASK]", "lstrip": True, "rstrip": True}
    edit(old_folder / "tokenizer_config.json", mask_token=mask)
    tokens = load(old_folder).tokens("cat [MASK] dog", None)
    assert tokens.offsets[1:-1] == [(0, 3), (3, 11), (11, 14)]


def test_only_tokens_with_a_name_count_as_special_by_their_ids(folder, edit, removed):
    """Those that are only marked so do not: transformers' all_special_ids."""
    edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    for name in ("cls", "sep", "unk", "mask"):
        edit(folder / "tokenizer_config.json", **{f"{name}_token": removed})
    assert load(folder).special_ids == [0]
    edit(folder / "tokenizer_config.json", extra_special_tokens=["cat"], image_token="dog")
    assert load(folder).special_ids == [0, 7, 6]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer_config.json", {"added_tokens_decoder": {"x": {"content": "cat"}}}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"5": "cat"}}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"5": {"content": 5}}}),
        ("tokenizer_config.json", {"extra_special_tokens": 3}),
        ("added_tokens.json", {"cat": "x"}),
        ("added_tokens.json", {"cat": None}),
        ("added_tokens.json", {"cat": {}}),
        ("added_tokens.json", {"cat": "5"}),
        ("added_tokens.json", {"cat": 5.0}),
        ("added_tokens.json", {"cat": True}),
        ("added_tokens.json", {"cat": -1}),
        ("tokenizer.json", {"added_tokens": [{"content": "cat", "id": float("inf")}]}),
        ("tokenizer.json", {"added_tokens": [{"content": "cat", "id": []}]}),
        ("tokenizer.json", {"added_tokens": [{"content": "cat"}]}),
        ("tokenizer.json", {"added_tokens": ["cat"]}),
    ],
)
def test_added_tokens_that_are_none_are_refused(folder, edit, removed, file, content):
    edit(folder / "tokenizer_config.json", added_tokens_decoder=removed)
    edit(folder / file, **content)
    with pytest.raises(
        CheckpointError, match=r"an added token is|extra_special_tokens is 3; expected"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mask_token": 5}, "mask_token is 5; expected a text"),
        ({"mask_token": []}, r"mask_token is \[\]; expected a text"),
        ({"sep_token": {"content": None}}, "sep_token is {'content': None}; expected a text"),
        ({"sep_token": {"content": "a", "lstrip": 1}}, "'a' has lstrip 1; expected true or false"),
        ({"extra_special_tokens": False}, "extra_special_tokens is False; expected a list"),
        ({"extra_special_tokens": ["a", 5]}, "extra_special_tokens holds 5; expected texts"),
        ({"additional_special_tokens": "a"}, "additional_special_tokens is 'a'; expected a list"),
        (
            {"added_tokens_decoder": {"5": {"content": "a", "special": None}}},
            "'a' has special None",
        ),
    ],
)
def test_tokens_that_are_none_are_refused_by_name(folder, edit, settings, message):
    edit(folder / "tokenizer_config.json", **settings)
    with pytest.raises(CheckpointError, match=message):
        load(folder)


@pytest.mark.parametrize("name", ["x", 1, None, []])
def test_names_of_inputs_that_no_bert_has_are_refused(folder, edit, name):
    edit(folder / "tokenizer_config.json", model_input_names=["input_ids", name])
    with pytest.raises(CheckpointError, match=r"model_input_names holds .*; expected some"):
        load(folder)


def test_a_mask_that_is_left_out_is_told_and_changes_no_vector(folder, edit, caplog):
    before = SentenceTransformer(folder).encode(["the cat sat", "a"])
    assert not caplog.records
    edit(folder / "tokenizer_config.json", model_input_names=["input_ids"])
    model = SentenceTransformer(folder)
    assert "model_input_names has no attention_mask" in caplog.text
    np.testing.assert_array_equal(model.encode(["the cat sat", "a"]), before)


def test_unknown_token_keys_name_extra_tokens_but_two_switches(folder, edit):
    edit(
        folder / "tokenizer_config.json", add_bos_token="barks", add_eos_token=" ", new_token="cat"
    )
    tokenizer = load(folder)
    assert tokenizer.special_ids[5:] == [6]
    assert list(tokenizer.rows(["the cat barks"], None).ids[0]) == [2, 5, 6, 9, 3]


def test_flags_that_no_token_has_are_left_out_unsaid(folder, edit, capfd):
    token = {"content": "cat", "lstrip": True, "unheard_of": 1}
    edit(folder / "tokenizer_config.json", added_tokens_decoder={"6": token})
    load(folder)
    assert capfd.readouterr().out == ""  # the library prints there


@pytest.mark.parametrize("limit", [0, -1, 1.5, 3.0, float("nan"), "5", True, [], -float("inf")])
@pytest.mark.parametrize("key", ["model_max_length", "max_len"])
def test_a_model_max_length_that_is_no_length_is_refused(folder, edit, removed, key, limit):
    edit(folder / "tokenizer_config.json", **{"model_max_length": removed, key: limit})
    with pytest.raises(CheckpointError, match=f"{key} is .*; expected a whole number from 1 up"):
        load(folder)


@pytest.mark.parametrize("limit", [REMOVED, None, 1e30, 10**30, float("inf")])
def test_a_model_max_length_of_no_limit_is_the_positions(folder, edit, limit):
    edit(folder / "tokenizer_config.json", model_max_length=limit)
    assert load(folder).max_length == 41


@pytest.mark.parametrize("name", ["RetriBertTokenizer", "NowhereTokenizerFast", "Fast"])
def test_a_class_of_no_library_takes_tokenizer_json(folder, edit, name):
    expected = [list(row) for row in load(folder).rows(["The cat", ("a", "b")], None).ids]
    edit(folder / "tokenizer_config.json", tokenizer_class=name, do_lower_case=False)
    assert [list(row) for row in load(folder).rows(["The cat", ("a", "b")], None).ids] == expected
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Tokenizer", None]})
    with pytest.raises(CheckpointError, match=f"tokenizer_class is '{name.removesuffix('Fast')}'"):
        load(folder)
    edit(folder / "tokenizer_config.json", auto_map=None)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is missing"):
        load(folder)


def test_a_splinter_asks_between_the_texts_of_a_pair(folder, edit):
    edit(
        folder / "tokenizer_config.json",
        tokenizer_class="SplinterTokenizer",
        question_token="dog",  # a word of the vocabulary
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    rows = load(folder).rows([("the cat", "a"), "the"], None)
    words = [load(folder).backend.id_to_token(int(id)) for id in rows.ids[0]]
    assert words == ["[CLS]", "the", "cat", "dog", ".", "[SEP]", "a", "[SEP]"]
    assert rows.types[0].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    edit(folder / "tokenizer_config.json", padding_side="left")
    with pytest.raises(CheckpointError, match="padding_side is 'left'; minibert builds a Splinter"):
        load(folder)


def test_a_funnel_s_first_token_has_a_type_of_its_own(folder, edit):
    edit(
        folder / "tokenizer_config.json",
        tokenizer_class="FunnelTokenizer",
        bos_token="the",
        eos_token="cat",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    rows = load(folder).rows(["a", ("a", "b")], None)
    assert [types.tolist() for types in rows.types] == [[2, 0, 0], [2, 0, 0, 1, 1]]
    assert load(folder).rows(["a"], None).types[0].tolist() == [2, 0, 0]  # without a pair, too
    assert SentenceTransformer(folder).encode("a").shape == (20,)  # a model with three types
    edit(folder / "tokenizer_config.json", wordpieces_prefix="@@")
    with pytest.raises(CheckpointError, match="wordpieces_prefix is '@@'; minibert builds a Fun"):
        load(folder)


def test_a_token_s_type_that_the_model_lacks_is_refused(old_folder, edit):
    edit(
        old_folder / "tokenizer_config.json",
        tokenizer_class="FunnelTokenizer",
        **{f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "pad", "unk", "mask")},
        bos_token="the",
        eos_token="cat",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    tokenizer = load(old_folder)
    assert tokenizer.rows(["a"], None).types is not None
    model = SentenceTransformer(old_folder)
    model.transformer.config = model.transformer.config._replace(type_vocab_size=2)
    with pytest.raises(ValueError, match=r"A token has the type 2, and this model has 2 token"):
        model.encode("a")


def test_other_tokenizer_classes_are_refused_by_name(folder, edit):
    edit(folder / "tokenizer_config.json", tokenizer_class="T5Tokenizer")
    with pytest.raises(
        CheckpointError, match="'T5Tokenizer'; minibert builds BertTokenizer, DistilBert"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("tokenizer_config.json", "do_lower_case", "yes"),
        ("tokenizer_config.json", "strip_accents", 1),
        ("tokenizer_config.json", "tokenize_chinese_chars", []),
        ("tokenizer_config.json", "tokenizer_class", ["BertTokenizer"]),
        ("tokenizer_config.json", "added_tokens_decoder", [1]),
        ("tokenizer.json", "model", 7),
        ("tokenizer.json", "added_tokens", {"a": 1}),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(folder, edit, file, key, value):
    edit(folder / file, **{key: value})
    with pytest.raises(CheckpointError, match=rf"{file}: {key} is .*; expected a "):
        load(folder)


def test_a_vocabulary_larger_than_the_embeddings_is_refused(folder):
    with pytest.raises(CheckpointError, match="goes up to the id 82; the model has 50"):
        load_tokenizer(folder, vocab_size=50, max_tokens=41)


def test_a_padding_side_on_the_left_is_kept(folder, edit):
    edit(folder / "tokenizer_config.json", padding_side="left")
    assert load(folder).padding_side == "left"


@pytest.mark.parametrize("what", ["truncation", "padding"])
def test_a_side_of_tokenizer_json_counts_if_settings_have_none(folder, edit, what):
    edit(folder / "tokenizer.json", **{what: {"direction": "Left"}})
    assert getattr(load(folder), f"{what}_side") == "left"
    edit(folder / "tokenizer_config.json", **{f"{what}_side": "right"})
    assert getattr(load(folder), f"{what}_side") == "right"


def test_added_tokens_beyond_the_embeddings_warn_and_fail_later(folder, edit, caplog):
    # The tiny vocabulary ends with the id 82, but holds one word twice: 82 is free once more.
    edit(folder / "tokenizer_config.json", extra_special_tokens=["<0>", "<1>", "<2>"])
    model = SentenceTransformer(folder)
    (message,) = caplog.messages
    assert message.endswith(
        "2 added tokens, as '<1>', have no word embedding; texts with them are refused."
    )
    assert model.encode("the cat").shape == (20,)
    with pytest.raises(ValueError, match="holds '<2>', the token 84; this model has 83 word"):
        model.encode(["the cat", "a <2> dog"])


def test_a_special_token_beyond_the_embeddings_is_refused(folder, edit):
    edit(folder / "tokenizer_config.json", sep_token="<0>", cls_token="<1>")
    with pytest.raises(CheckpointError, match=r"token '<.>' has the id 83; the model has 83 word"):
        load(folder)


def test_special_tokens_that_are_split_are_ordinary_text(folder, edit):
    whole = ids_of(load(folder), "a[SEP]b")
    edit(folder / "tokenizer_config.json", split_special_tokens=True)
    split = ids_of(load(folder), "a[SEP]b")
    assert 3 in whole[1:-1]
    assert 3 not in split[1:-1]


def test_tokenizer_args_beat_tokenizer_config(folder):
    settings = {"do_lower_case": False, "model_max_length": 7}
    tokenizer = load(folder, tokenizer_args=settings, max_seq_length=9)
    assert tokenizer.max_length == 7
    assert ids_of(tokenizer, "Cat") != ids_of(tokenizer, "cat")


def test_extra_special_tokens_of_every_form_are_cut_out(folder, edit):
    # "Cat" is in the vocabulary, but an uncased text never shows it to the split.
    for extra in (
        {"extra_special_tokens": ["Cat"]},
        {"extra_special_tokens": {"animal_token": "Cat"}},
        {"additional_special_tokens": [{"content": "Cat"}]},
        {"animal_token": "Cat"},
    ):
        edit(folder / "tokenizer_config.json", **extra)
        assert tokens_of(load(folder), "a Cat") == ["a", "Cat"], extra
        edit(folder / "tokenizer_config.json", **dict.fromkeys(extra))
    assert tokens_of(load(folder), "a Cat") == ["a", "cat"]

"""Fields: values of a body's keys, by type; null is absence; what an error says."""

import json

import pytest

from minibert.server import fields
from minibert.server.refusals import RequestError
from minibert.server.settings import Settings

SETTINGS = Settings((), max_inputs=3)
WITH_IDS = Settings((), max_inputs=3, accept_token_ids=True)
LONE = "a\ud800b"


def refused(function, *arguments, **named):
    with pytest.raises(RequestError) as caught:
        function(*arguments, **named)
    return caught.value


@pytest.mark.parametrize("body", [{}, {"k": None}])
def test_null_is_absence(body):
    assert fields.optional_text(body, "k") is None
    assert fields.flag(body, "k") is None
    assert fields.flag(body, "k", True) is True
    assert fields.integer(body, "k") is None
    assert fields.number(body, "k") is None
    assert fields.choice(body, "k", ("a", "b"), "b") == "b"
    one_or_more = "a text or a list of texts"
    for required, expected in (
        (lambda: fields.text(body, "k"), "a text"),
        (lambda: fields.texts(body, "k", SETTINGS), "a list of texts"),
        (lambda: fields.texts(body, "k", SETTINGS, one=True), one_or_more),
        (lambda: fields.inputs(body, "k", SETTINGS), one_or_more),
    ):
        error = refused(required)
        assert (error.kind, error.field) == ("validation", "k")
        assert error.message == f"k is missing; expected {expected}."


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (fields.text, ""),
        (fields.text, "é中\U0001f600\0"),
        (fields.optional_text, "x"),
        (fields.flag, True),
        (fields.flag, False),
        (fields.integer, 0),
        (fields.integer, 2**70),
        (fields.number, 0.5),
        (fields.number, -3),
        (fields.number, 0),
    ],
)
def test_a_value_of_the_type_is_returned(read, value):
    found = read({"k": value}, "k")
    assert (found, type(found)) == (value, float if read is fields.number else type(value))


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (fields.text, 1, "k is an int (1); expected a text."),
        (fields.text, ["a"], "k is a list (['a']); expected a text."),
        (fields.text, True, "k is a bool (True); expected a text."),
        (fields.flag, 1, "k is an int (1); expected true or false."),
        (fields.flag, "true", "k is a str ('true'); expected true or false."),
        (fields.integer, True, "k is a bool (True); expected a whole number from 0 up."),
        (fields.integer, 1.0, "k is a float (1.0); expected a whole number from 0 up."),
        (fields.integer, -1, "k is an int (-1); expected a whole number from 0 up."),
        (fields.integer, "1", "k is a str ('1'); expected a whole number from 0 up."),
        (fields.number, "1", "k is a str ('1'); expected a number."),
        (fields.number, False, "k is a bool (False); expected a number."),
        (fields.number, json.loads("1e999"), "k is a float (inf); expected a number."),
    ],
)
def test_a_value_of_another_type_is_refused(read, value, expected):
    error = refused(read, {"k": value}, "k")
    assert (error.kind, error.field, error.message) == ("validation", "k", expected)


def test_a_huge_whole_number_is_no_float():
    assert refused(fields.number, {"k": 10**400}, "k").kind == "validation"


def test_the_least_whole_number_is_told():
    assert fields.integer({"k": 1}, "k", least=1) == 1
    assert fields.integer({"k": -5}, "k", least=-5) == -5
    assert "from 1 up" in refused(fields.integer, {"k": 0}, "k", least=1).message


@pytest.mark.parametrize("value", ["float", "FLOAT", "Float"])
def test_a_choice_is_taken_in_any_case(value):
    assert fields.choice({"k": value}, "k", ("float", "base64"), "base64") == "float"


@pytest.mark.parametrize("value", ["int8", "", 1, ["float"], True])
def test_another_choice_is_refused(value):
    error = refused(fields.choice, {"k": value}, "k", ("float", "base64"), "float")
    assert error.message.endswith("expected 'float' or 'base64'.")


# Texts


def test_texts_are_a_list_or_one_where_that_may_be():
    assert fields.texts({"k": ["a", ""]}, "k", SETTINGS) == ["a", ""]
    assert fields.texts({"k": []}, "k", SETTINGS) == []
    assert fields.texts({"k": "a"}, "k", SETTINGS, one=True) == ["a"]
    assert "expected a list of texts" in refused(fields.texts, {"k": "a"}, "k", SETTINGS).message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "k is an int (5); expected a text or a list of texts."),
        ({"a": 1}, "k is a dict ({'a': 1}); expected a text or a list of texts."),
        (["a", None], "k[1] is a NoneType (None); expected a text."),
        (["a", ["b"]], "k[1] is a list (['b']); expected a text."),
        ([[]], "k[0] is a list ([]); expected a text."),
        ([[1, True]], "k[0] is a list ([1, True]); expected a text."),
        (["a", 1], "k[1] is an int (1); expected a text."),
    ],
)
@pytest.mark.parametrize("settings", [SETTINGS, WITH_IDS])
def test_what_is_no_text_is_named_by_its_place(value, expected, settings):
    assert refused(fields.inputs, {"k": value}, "k", settings).message == expected


def test_inputs_are_one_text_or_several():
    assert fields.inputs({"k": ""}, "k", SETTINGS) == [""]
    assert fields.inputs({"k": ["a", "b"]}, "k", SETTINGS) == ["a", "b"]
    assert fields.inputs({"k": []}, "k", SETTINGS) == []


@pytest.mark.parametrize(
    ("value", "place"), [([1, 2], "k"), ([[1], [2]], "k[0]"), (["a", [3]], "k[1]")]
)
def test_token_ids_are_refused_with_the_way_out(value, place):
    error = refused(fields.inputs, {"k": value}, "k", SETTINGS)
    assert (error.kind, error.field) == ("token_ids", place)
    assert error.message.startswith(f"{place} holds token ids")
    assert "check_embedding_ctx_length=False" in error.message


def test_token_ids_are_taken_where_the_server_accepts_them():
    assert fields.inputs({"k": [5, 6, 7, 8]}, "k", WITH_IDS) == [[5, 6, 7, 8]]  # one text
    assert fields.inputs({"k": [[5], [6, 7], "a"]}, "k", WITH_IDS) == [[5], [6, 7], "a"]


@pytest.mark.parametrize("ids", [[-1], [2**31], [5, 10**30]])
def test_numbers_that_are_no_ids_are_refused(ids):
    assert "expected token ids" in refused(fields.inputs, {"k": [ids]}, "k", WITH_IDS).message


@pytest.mark.parametrize("read", [fields.inputs, fields.texts])
def test_more_texts_than_a_request_may_have_are_refused(read):
    assert len(read({"k": ["a"] * 3}, "k", SETTINGS)) == 3
    error = refused(read, {"k": ["a"] * 4}, "k", SETTINGS)
    assert (error.kind, error.field) == ("too_many_inputs", "k")
    assert (error.given, error.limit) == (4, 3)
    assert error.message == (
        "k has 4 items; a request may have 3 (--max-inputs of the server). Send fewer at a time."
    )


@pytest.mark.parametrize(
    ("value", "place"), [(LONE, "k"), (["a", LONE], "k[1]"), (["\udfff" * 2], "k[0]")]
)
def test_a_lone_surrogate_is_refused(value, place):
    error = refused(fields.inputs, {"k": value}, "k", SETTINGS)
    assert (error.kind, error.field) == ("validation", place)
    assert "lone surrogate" in error.message


def test_a_pair_of_surrogates_is_a_character():
    text = json.loads('"\\ud83d\\ude00"')
    assert fields.text({"k": text}, "k") == "\U0001f600"


# What an error quotes


def nested(depth):
    return json.loads("[" * depth + "]" * depth)


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, ["y" * 1000] * 1000, nested(300), {"a": {"b": nested(50)}}, 10**4000, LONE],
    ids=["text", "list", "deep", "dict", "number", "surrogate"],
)
def test_an_error_quotes_the_beginning_of_a_value(value):
    error = refused(fields.flag, {"k": value}, "k")
    assert len(error.message) < 700
    error.message.encode()  # no surrogate is left


def test_an_error_is_one_line():
    assert "\n" not in refused(fields.flag, {"k": "a\nb\u2028c"}, "k").message

"""Rows of tokens -> matrices: where padding stands, how wide, and under which names."""

import pytest
from tokenizing import load

from minibert.tokens.padding import pad_rows

ROWS = [[2, 5, 3], [2, 5, 6, 3, 8, 3], [2, 3]]  # "the", ("the cat", "sat"), ""


@pytest.fixture
def mask_padding_tokenizer(folder, edit):
    edit(folder / "tokenizer_config.json", pad_token="[MASK]")  # its id is not 0
    return load(folder)


def padded(tokenizer, *arguments):
    rows = tokenizer.rows(["the", ("the cat", "sat"), ""], None)
    assert [row.tolist() for row in rows.ids] == ROWS
    arrays = pad_rows(rows, tokenizer, *arguments)
    assert {array.dtype.name for array in arrays.values()} == {"int64"}
    return {name: array.tolist() for name, array in arrays.items()}


def test_rows_are_filled_up_on_the_right_to_the_longest(mask_padding_tokenizer):
    assert padded(mask_padding_tokenizer) == {
        "input_ids": [[2, 5, 3, 4, 4, 4], ROWS[1], [2, 3, 4, 4, 4, 4]],
        "token_type_ids": [[0] * 6, [0, 0, 0, 0, 1, 1], [0] * 6],
        "attention_mask": [[1, 1, 1, 0, 0, 0], [1] * 6, [1, 1, 0, 0, 0, 0]],
    }


def test_a_length_is_the_least_number_of_columns(mask_padding_tokenizer):
    assert padded(mask_padding_tokenizer, 7)["attention_mask"][1] == [1, 1, 1, 1, 1, 1, 0]
    assert padded(mask_padding_tokenizer, 3)["attention_mask"][1] == [1] * 6


def test_a_side_that_is_given_beats_the_folder_s(mask_padding_tokenizer, folder, edit):
    assert padded(mask_padding_tokenizer, 0, "left")["input_ids"][0] == [4, 4, 4, 2, 5, 3]
    edit(folder / "tokenizer_config.json", padding_side="left")
    left = load(folder)
    assert padded(left)["input_ids"][0] == [4, 4, 4, 2, 5, 3]
    assert padded(left)["token_type_ids"][1] == [0, 0, 0, 0, 1, 1]
    assert padded(left, 0, "right")["input_ids"][0] == [2, 5, 3, 4, 4, 4]


def test_only_the_arrays_that_the_folder_names_are_made(mask_padding_tokenizer, folder, edit):
    edit(folder / "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
    assert list(padded(load(folder))) == ["input_ids", "attention_mask"]


def test_no_rows_make_matrices_without_rows(mask_padding_tokenizer):
    rows = mask_padding_tokenizer.rows([], None)
    assert pad_rows(rows, mask_padding_tokenizer, 3)["input_ids"].shape == (0, 3)

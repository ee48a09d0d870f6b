"""A picture of a matrix has its numbers."""

import re

import numpy as np
import pytest
from drawn import cells_of

from minibert.pictures.matrix import matrix_svg


def test_a_matrix_is_a_strip_a_row(model):
    cells = cells_of(matrix_svg([[0.5, -1.0], [0.0, 0.25]], ["first", "<second>"], "Four"))
    assert [(name, value, kind) for name, value, kind, _ in cells] == [
        ("first, 0", 0.5, "for"),
        ("first, 1", -1.0, "against"),
        ("<second>, 0", 0.0, "for"),
        ("<second>, 1", 0.25, "for"),
    ]
    assert [cell.get("fill-opacity") for *_, cell in cells] == ["0.5", "1", "0", "0.25"]


def test_columns_have_labels_that_rise_where_there_is_no_room(model):
    straight = matrix_svg([[1.0, 2.0]], ["row"], "Two", ["a", "<b>"])
    assert [name for name, *_ in cells_of(straight)] == ["row, a", "row, <b>"]
    assert ">&lt;b&gt;</text>" in straight
    assert "rotate" not in straight
    rising = matrix_svg([[1.0, 2.0]], ["row"], "Two", ["a", "a word that is long"])
    assert rising.count("rotate(-45)") == 2
    width, height = (
        float(re.search(rf'{side}="([\d.]+)"', rising)[1]) for side in ("width", "height")
    )
    plain_height = float(re.search(r'height="([\d.]+)"', straight)[1])
    assert height > plain_height
    assert width > 150  # the last label has room beside the cells


def test_a_vector_is_one_strip():
    assert [value for _, value, *_ in cells_of(matrix_svg(np.array([1.0, -2.0, 0.5])))] == [
        1.0, -2.0, 0.5
    ]  # fmt: skip


def test_a_few_huge_numbers_leave_colours_to_all_others():
    values = np.ones((1, 200))
    values[0, 7] = -50
    svg = matrix_svg(values)
    opacities = [cell.get("fill-opacity") for *_, cell in cells_of(svg)]
    assert set(opacities) == {"1"}
    assert "≥ +1.00" in svg
    values[0, 8:] = 40
    assert "≥" not in matrix_svg(values)


@pytest.mark.parametrize(
    ("array", "rows", "message"),
    [
        (np.zeros((2, 2, 2)), None, "shape"),
        (np.zeros(0), None, "shape"),
        (np.zeros((300, 300)), None, "90000 numbers"),
        ([1.0, np.nan], None, "NaN or infinity"),
        ([1.0, 2.0], ["a", "b"], "2 labels for 1 rows"),
    ],
)
def test_what_cannot_be_drawn_is_refused(array, rows, message):
    with pytest.raises(ValueError, match=message):
        matrix_svg(array, rows)
    with pytest.raises(ValueError, match="1 labels for 2 columns"):
        matrix_svg([1.0, 2.0], None, "", ["a"])

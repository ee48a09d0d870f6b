"""Codes of vectors against sums by hand, and against loops over numbers in float64."""

import numpy as np
import pytest

from minibert.scoring.quantization import dequantize_embeddings, quantize_embeddings


def vectors(rows=150, dimension=5):
    return np.random.default_rng(0).normal(size=(rows, dimension)).astype(np.float32)


def test_int8_rounds_down_and_is_not_symmetric():
    ranges = np.array([[-1.0], [1.0]])
    x = np.array([[-1.0], [0.0], [1.0], [-7.0], [7.0], [0.5]], dtype=np.float32)
    codes = quantize_embeddings(x, "int8", ranges=ranges)
    assert codes.dtype == np.int8
    # The float32 of 2/255 is a little above it, so the maximum falls one short: the reference's.
    assert codes.ravel().tolist() == [-128, -1, 126, -128, 127, 63]
    unsigned = quantize_embeddings(x, "uint8", ranges=ranges)
    assert unsigned.dtype == np.uint8
    assert unsigned.ravel().tolist() == [0, 127, 254, 0, 255, 191]


def test_ranges_are_of_the_calibration_or_of_the_vectors():
    x, other = vectors(), 2 * vectors(300)
    for given, arguments in ((x, {}), (other, {"calibration_embeddings": other})):
        codes = quantize_embeddings(x, "uint8", **arguments)
        low, high = given.min(axis=0), given.max(axis=0)
        for row, numbers in zip(codes, x, strict=True):
            for code, number, a, b in zip(row, numbers, low, high, strict=True):
                exact = (float(number) - float(a)) / (float(b) - float(a)) * 255
                # Rounded down; what lies on an edge may fall on either side.
                assert -1e-3 <= exact - int(code) <= 1 + 1e-3


def test_a_dimension_that_never_changes_has_the_lowest_code():
    x = vectors()
    x[:, 2] = 0.7
    assert (quantize_embeddings(x, "int8")[:, 2] == -128).all()


def test_bits_are_packed_the_first_dimension_highest():
    x = np.array([[1, -1, 0, 2, -0.0, 3, -3, 0, 9]], dtype=np.float32)
    assert quantize_embeddings(x, "ubinary").tolist() == [[0b10010100, 0b10000000]]
    binary = quantize_embeddings(x, "binary")
    assert binary.dtype == np.int8
    assert binary.tolist() == [[148 - 128, 0]]
    one = quantize_embeddings(x[0], "binary")
    np.testing.assert_array_equal(one, binary[0])
    undone = np.unpackbits(binary.view(np.uint8) ^ 0x80, axis=1)[:, :9]
    np.testing.assert_array_equal(undone, x > 0)


def test_few_vectors_calibrate_with_a_warning_and_one_is_refused(caplog):
    quantize_embeddings(vectors(), "int8")
    assert caplog.messages == []
    quantize_embeddings(vectors(99), "int8")
    assert "The ranges for int8 are those of 99 vectors only" in caplog.text
    for one in (vectors(1), vectors()[0]):
        with pytest.raises(ValueError, match="One vector has no ranges for uint8"):
            quantize_embeddings(one, "uint8")
        assert (
            quantize_embeddings(one, "uint8", calibration_embeddings=vectors()).shape == one.shape
        )


def test_matrices_of_a_list_share_their_ranges():
    x = vectors()
    parts = quantize_embeddings([x[:60], x[60:61], x[61:]], "int8")
    np.testing.assert_array_equal(np.concatenate(parts), quantize_embeddings(x, "int8"))
    assert [part.shape for part in quantize_embeddings([x[:0], x[:2]], "binary")] == [
        (0, 1),
        (2, 1),
    ]
    assert quantize_embeddings([x[:0]], "int8")[0].shape == (0, 5)


def test_no_vectors_give_no_codes():
    for precision, columns in (("int8", 9), ("binary", 2), ("float32", 9)):
        assert quantize_embeddings(np.empty((0, 9)), precision).shape == (0, columns)
    assert quantize_embeddings([], "int8") == []


def test_precision_float32_gives_float32_vectors():
    codes = quantize_embeddings(vectors().astype(np.float64), "float32")
    assert codes.dtype == np.float32
    np.testing.assert_array_equal(codes, vectors())


def test_codes_and_unknown_precisions_are_refused():
    with pytest.raises(ValueError, match="The embeddings are int8; expected floats"):
        quantize_embeddings(np.ones((2, 2), dtype=np.int8), "binary")
    with pytest.raises(ValueError, match="precision is 'int4'; expected one of 'float32', 'int8'"):
        quantize_embeddings(vectors(), "int4")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ranges": [0.0, 1.0]}, r"ranges have the shape \(2,\); expected \(2, 5\)"),
        ({"ranges": np.zeros((2, 4))}, r"ranges have the shape \(2, 4\); expected \(2, 5\)"),
        ({"ranges": [[0, 0, 1, 0, 0], [1, 1, 0, 1, 1]]}, "range of dimension 2 is 1.0 to 0.0"),
        ({"ranges": [[0, np.nan, 0, 0, 0], [1] * 5]}, "range of dimension 1 is nan to 1.0"),
        ({"calibration_embeddings": vectors(1)}, r"has the shape \(1, 5\); expected \(m, D\)"),
        ({"calibration_embeddings": vectors()[0]}, r"has the shape \(5,\); expected \(m, D\)"),
        ({"calibration_embeddings": vectors(9, 4)}, r"ranges have the shape \(2, 4\)"),
        ({"calibration_embeddings": np.full((9, 5), np.inf)}, "hold NaN or infinity"),
    ],
)
def test_ranges_that_cannot_be_meant_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        quantize_embeddings(vectors(), "int8", **arguments)


@pytest.mark.parametrize("precision", ["int8", "binary"])
def test_what_has_no_code_is_refused(precision):
    x = vectors()
    x[3, 2] = np.nan
    with pytest.raises(ValueError, match="hold NaN or infinity, which have no code"):
        quantize_embeddings(x, precision)
    with pytest.raises(ValueError, match="The embeddings are no vectors"):
        quantize_embeddings(None, precision)


def test_codes_stand_for_the_middle_of_their_step():
    ranges = np.array([[0.0, -1.0], [255.0, 1.0]], dtype=np.float32)
    vectors = np.array([[0.0, -1.0], [3.7, 0.0], [254.2, 0.99], [255.0, 1.0]], dtype=np.float32)
    for precision in ("int8", "uint8"):
        codes = quantize_embeddings(vectors, precision, ranges)
        back = dequantize_embeddings(codes, precision, 2, ranges)
        np.testing.assert_array_equal(back[:, 0], [0.5, 3.5, 254.5, 255.0])
        assert np.abs(back[:, 1] - vectors[:, 1]).max() <= 1.001 / 255
        np.testing.assert_array_equal(quantize_embeddings(back, precision, ranges), codes)


def test_a_dimension_that_never_changes_stands_for_itself():
    ranges = np.array([[2.0], [2.0]])
    codes = quantize_embeddings(np.array([[2.0], [2.0]]), "int8", ranges)
    assert dequantize_embeddings(codes, "int8", 1, ranges).tolist() == [[2.0], [2.0]]


@pytest.mark.parametrize("precision", ["binary", "ubinary"])
def test_bits_stand_for_signs(precision):
    vectors = np.array([[0.5, -0.1, 0.0, 2, 3, 4, 5, 6, -7, 8]], dtype=np.float32)
    codes = quantize_embeddings(vectors, precision)
    signs = [[1, -1, -1, 1, 1, 1, 1, 1, -1, 1]]
    assert dequantize_embeddings(codes, precision, 10).tolist() == signs


def test_codes_without_their_ranges_stand_for_nothing():
    with pytest.raises(ValueError, match="Codes of int8 stand for nothing without"):
        dequantize_embeddings(np.zeros((1, 2), dtype=np.int8), "int8", 2)

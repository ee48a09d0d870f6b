"""Sums of gradients: the order of the packs counts, and not that of their threads."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from random_numbers import numbers

from minibert.kernels.cpu_gradients import add_at_
from minibert.training.sums import Sums

# Large and small numbers: any other order of their sum rounds otherwise.
GIVEN = [numbers((2, 3), seed, scale) for seed, scale in enumerate((1e4, 1.0, 1e-3, 3e2))]
INDEX = [np.array([0, 0]), np.array([3, 1]), np.array([1, 0]), np.array([0, 3])]


def empty_sums(**settings):
    sums = Sums(lambda name: np.zeros((2, 2, 3), np.float32), add_at_, **settings)
    sums.begin()
    return sums


def in_order():
    """The sums of the packs above, one after the other: of a matrix, and of some rows."""
    whole, rows = GIVEN[0].copy(), np.zeros((4, 3), np.float32)
    for gradient in GIVEN[1:]:
        whole += gradient
    for gradient, index in zip(GIVEN, INDEX, strict=True):
        add_at_(rows, index, gradient)
    return whole, rows.reshape(2, 2, 3)


def give_in_order_of_arrival(sums, order):
    """Let packs arrive in an order: each has called before the next one begins."""
    with ThreadPoolExecutor(len(order)) as workers:
        waiting = []
        for number in order:
            called = threading.Event()

            def give(number=number, called=called):
                function = sums.of_pack(number)
                called.set()
                function("whole", GIVEN[number].copy())
                function("rows", GIVEN[number].copy(), INDEX[number])

            waiting.append(workers.submit(give))
            called.wait(10)
        for future in waiting:
            future.result(10)


def test_the_order_of_the_packs_counts():
    """Else the test below would show nothing."""
    whole, _ = in_order()
    assert any(
        sum((GIVEN[n] for n in order[1:]), GIVEN[order[0]]).tobytes() != whole.tobytes()
        for order in itertools.permutations(range(4))
    )


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_packs_that_arrive_in_any_order_give_the_same_bits(order):
    sums = empty_sums()
    give_in_order_of_arrival(sums, order)
    whole, rows = in_order()
    np.testing.assert_array_equal(sums.totals["whole"], whole)
    np.testing.assert_array_equal(sums.totals["rows"], rows)


def test_a_batch_adds_to_the_sums_of_the_batch_before():
    sums = empty_sums()
    for gradient in GIVEN[:2]:
        sums.begin()
        sums.of_pack(0)("whole", gradient.copy())
    np.testing.assert_array_equal(sums.totals["whole"], GIVEN[0] + GIVEN[1])


def test_a_layer_used_again_has_one_sum():
    """The uses of a pack are added first, then the packs."""
    names = {"layer.2.bias": "layer.0.bias"}
    sums = empty_sums(
        names=lambda name: names.get(name, name), uses=lambda name: 1 + (name == "layer.0.bias")
    )
    for number, pair in enumerate((GIVEN[:2], GIVEN[2:])):
        give = sums.of_pack(number)
        give("layer.2.bias", pair[0].copy())
        give("layer.1.bias", pair[0].copy())
        give("layer.0.bias", pair[1].copy())
    expected = (GIVEN[0] + GIVEN[1]) + (GIVEN[2] + GIVEN[3])
    assert list(sums.totals) == ["layer.1.bias", "layer.0.bias"]
    np.testing.assert_array_equal(sums.totals["layer.0.bias"], expected)
    np.testing.assert_array_equal(sums.totals["layer.1.bias"], GIVEN[0] + GIVEN[2])


def test_a_layer_used_again_waits_for_its_last_use_alone():
    """The first use of the second pack comes before the last one of the first: nobody waits."""
    sums = empty_sums(uses=lambda name: 2)
    first, second = sums.of_pack(0), sums.of_pack(1)
    second("bias", GIVEN[1].copy())
    first("bias", GIVEN[0].copy())
    assert sums.totals == {}
    first("bias", GIVEN[0].copy())
    second("bias", GIVEN[1].copy())
    np.testing.assert_array_equal(sums.totals["bias"], 2 * GIVEN[0] + 2 * GIVEN[1])


def test_a_failing_pack_lets_no_other_wait():
    called, errors = threading.Event(), []

    def name_of(name):
        called.set()
        return name

    def wait_for_pack_0():
        try:
            sums.of_pack(1)("whole", GIVEN[1].copy())
        except RuntimeError as error:
            errors.append(str(error))

    sums = empty_sums(names=name_of)
    waiting = threading.Thread(target=wait_for_pack_0, daemon=True)
    waiting.start()
    called.wait(10)
    time.sleep(0.02)  # it waits by now; if not, it need not begin to
    sums.fail()
    waiting.join(10)
    assert errors == ["A pack of this step, before this one, has failed."]
    assert sums.totals == {}


def test_a_failure_stops_no_pack_whose_turn_it_is():
    """So the first pack that raises, in the order of packs, is one that has failed by itself."""
    sums = empty_sums()
    sums.fail()
    sums.of_pack(0)("whole", GIVEN[0].copy())
    with pytest.raises(RuntimeError, match="before this one, has failed"):
        sums.of_pack(2)("whole", GIVEN[2].copy())
    np.testing.assert_array_equal(sums.totals["whole"], GIVEN[0])


def test_after_a_failure_a_new_batch_waits_again():
    sums = empty_sums()
    sums.fail()
    sums.begin()
    give_in_order_of_arrival(sums, (1, 0))
    np.testing.assert_array_equal(sums.totals["whole"], GIVEN[0] + GIVEN[1])

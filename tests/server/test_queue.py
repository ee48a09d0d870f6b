"""Queue: first come, first served, within the budget; groups in turns; what is dropped or left."""

import threading

import numpy as np
import pytest

from minibert.server.queue import Part, Queue, Ticket


def ignore(results, error):
    """What tells a ticket's request; nobody asks here."""


def ticket(group, *lengths):
    """A ticket with rows of these lengths."""
    return Ticket(group, [np.arange(n) for n in lengths], None, sum(lengths), ignore)


def function_ticket(tokens):
    return Ticket(None, [], None, tokens, ignore, function=lambda: None)


def queue_of(budget, *tickets):
    queue = Queue(budget)
    for one in tickets:
        queue.add(one)
    return queue


def taken(queue):
    """All that is left, a list for each batch: (ticket, first row, row after the last)."""
    queue.close()
    batches = iter(queue.take, [])
    return [[(part.ticket, part.start, part.stop) for part in batch] for batch in batches]


def test_tickets_are_taken_in_their_order_up_to_the_budget():
    first, second, third = ticket("m", 4), ticket("m", 3, 3), ticket("m", 1)
    batches = taken(queue_of(10, first, second, third))
    assert batches == [[(first, 0, 1), (second, 0, 2)], [(third, 0, 1)]]


def test_a_small_ticket_does_not_overtake_a_larger_one():
    first, large, small = ticket("m", 6), ticket("m", 7), ticket("m", 1)
    assert taken(queue_of(8, first, large, small)) == [
        [(first, 0, 1)], [(large, 0, 1), (small, 0, 1)]
    ]  # fmt: skip


def test_a_large_ticket_is_taken_in_parts():
    large, small = ticket("m", 4, 4, 4, 4, 4), ticket("m", 5)
    assert taken(queue_of(10, large, small)) == [
        [(large, 0, 2)], [(large, 2, 4)], [(large, 4, 5), (small, 0, 1)]
    ]  # fmt: skip


def test_a_row_above_the_budget_is_taken_alone():
    before, long, after = ticket("m", 2), ticket("m", 50), ticket("m", 2)
    assert taken(queue_of(10, before, long, after)) == [
        [(before, 0, 1)], [(long, 0, 1)], [(after, 0, 1)]
    ]  # fmt: skip


def test_the_group_of_the_oldest_ticket_is_next():
    a1, b1, a2, c1, b2 = (ticket(group, 6) for group in "abacb")
    assert taken(queue_of(10, a1, b1, a2, c1, b2)) == [
        [(one, 0, 1)] for one in (a1, b1, a2, c1, b2)
    ]


def test_a_batch_holds_one_group_alone():
    a1, b1, a2 = (ticket(group, 2) for group in "aba")
    assert taken(queue_of(10, a1, b1, a2)) == [[(a1, 0, 1), (a2, 0, 1)], [(b1, 0, 1)]]


def test_functions_are_taken_one_at_a_time_and_in_turn():
    first, second, rows = function_ticket(5), function_ticket(5), ticket("m", 1)
    assert taken(queue_of(100, first, rows, second)) == [
        [(first, 0, 0)], [(rows, 0, 1)], [(second, 0, 0)]
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(3))
def test_a_dropped_ticket_is_not_taken(number):
    tickets = [ticket("m", 2), ticket("m", 3, 3), ticket("m", 1)]
    queue = queue_of(100, *tickets)
    dropped = tickets.pop(number)
    queue.drop(dropped)
    queue.drop(dropped)  # again: the count is not wrong for that
    assert queue.tokens == sum(one.tokens for one in tickets)
    assert [part[0] for part in taken(queue)[0]] == tickets


def test_the_rest_of_a_ticket_is_dropped_after_a_part():
    large, other = ticket("m", 4, 4, 4), ticket("n", 1)
    queue = queue_of(4, large, other)
    assert queue.take() == [Part(large, 0, 1)]
    queue.drop(large)
    assert (queue.tokens, queue.texts) == (1, 1)
    assert taken(queue) == [[(other, 0, 1)]]


def test_a_ticket_that_is_taken_is_not_dropped_from_the_count():
    first, second = ticket("m", 4), ticket("m", 8)
    queue = queue_of(4, first, second)
    queue.take()
    queue.drop(first)
    assert (queue.tokens, queue.texts) == (8, 1)


def test_what_waits_is_counted_in_tokens_and_texts():
    queue = queue_of(8, ticket("m", 4, 4, 4), function_ticket(7), ticket("n", 2))
    counts = [(queue.tokens, queue.texts)]
    while queue.tokens:
        queue.take()
        counts.append((queue.tokens, queue.texts))
    assert counts == [(21, 4), (13, 2), (9, 1), (2, 1), (0, 0)]


def test_take_waits_for_a_ticket():
    queue, found = Queue(10), []
    taking = threading.Thread(target=lambda: found.extend(queue.take()))
    taking.start()
    one = ticket("m", 3)
    queue.add(one)
    taking.join(10)
    assert found == [Part(one, 0, 1)]


def test_close_ends_a_take_that_waits():
    queue, found = Queue(10), []
    taking = threading.Thread(target=lambda: found.append(queue.take()))
    taking.start()
    queue.close()
    taking.join(10)
    assert found == [[]]

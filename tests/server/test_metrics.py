"""Counters for Prometheus: what is counted, how it is written, and sums over processes."""

import re

import numpy as np
import pytest

from minibert.server.facts import Facts
from minibert.server.log import LEFT, Outcome
from minibert.server.metrics import COLUMNS, Metrics

# A line of a metric: its name, its labels, its value.
LINE = re.compile(r'^([a-z_]+)(\{[a-z]+="[^"]*"\})? ([0-9.e+-]+)$')


def outcome(status=200, method="POST", problem=None, **facts):
    return Outcome("id", method, "/embed", status, 0.5, 10, Facts(**facts), problem)


def numbers(metrics):
    """The numbers of the text, by name and label; each stands once."""
    found = {}
    for line in metrics.text().splitlines():
        if not line.startswith("#"):
            name, label, value = LINE.match(line).groups()
            assert name + (label or "") not in found
            found[name + (label or "")] = float(value)
    return found


def changed(metrics):
    """The numbers that are not 0, without the buckets of histograms."""
    return {
        name: value for name, value in numbers(metrics).items() if value and "_bucket" not in name
    }


@pytest.fixture
def metrics():
    return Metrics()


def test_texts_that_lost_tokens_are_counted(metrics):
    metrics.note_request(outcome(model="m", kind="embedding", texts=3, truncated=2))
    assert numbers(metrics)["minibert_truncated_texts"] == 2


def test_each_metric_is_described_once_before_its_numbers(metrics):
    described = re.findall(r"^# HELP (\w+) .+\.\n# TYPE (\w+) (\w+)$", metrics.text(), re.M)
    assert all(one == two for one, two, _ in described)
    kinds = {name: kind for name, _, kind in described}
    assert len(kinds) == len(described) == metrics.text().count("# TYPE")
    assert kinds["te_request_count"] == "counter"
    assert kinds["te_queue_size"] == "gauge"
    for start in ("request", "embed", "predict"):
        for part in ("", "tokenization_", "queue_", "inference_"):
            assert kinds[f"te_{start}_{part}duration"] == "histogram"
    assert metrics.text().endswith("\n")


def test_an_embedding_request_counts_itself_and_its_texts(metrics):
    facts = {"model": "m", "kind": "embedding", "texts": 3}
    times = {"tokenize_s": 0.125, "queue_s": 0.25, "compute_s": 0.0625}
    metrics.note_request(outcome(**facts, **times))
    assert changed(metrics) == {
        'te_request_count{method="batch"}': 1,
        'te_request_success{method="batch"}': 1,
        "te_embed_count": 3,
        "te_embed_success": 3,
        **{"te_request_duration_sum": 0.5, "te_request_duration_count": 1},
        **{"te_request_tokenization_duration_sum": 0.125},
        **{"te_request_tokenization_duration_count": 1},
        **{"te_request_queue_duration_sum": 0.25, "te_request_queue_duration_count": 1},
        **{"te_request_inference_duration_sum": 0.0625, "te_request_inference_duration_count": 1},
        **{"te_embed_duration_sum": 1.5, "te_embed_duration_count": 3},
        **{"te_embed_tokenization_duration_sum": 0.375, "te_embed_tokenization_duration_count": 3},
        **{"te_embed_queue_duration_sum": 0.75, "te_embed_queue_duration_count": 3},
        **{"te_embed_inference_duration_sum": 0.1875, "te_embed_inference_duration_count": 3},
    }


@pytest.mark.parametrize("kind", ["reranker", "classifier"])
def test_a_cross_encoder_s_texts_are_counted_apart(metrics, kind):
    metrics.note_request(outcome(kind=kind, texts=1))
    found = changed(metrics)
    assert found["te_predict_count"] == found["te_predict_success"] == 1
    assert found["te_predict_duration_sum"] == 0.5
    assert found['te_request_count{method="single"}'] == 1
    assert not any("embed" in name for name in found)


@pytest.mark.parametrize(
    ("status", "problem", "label"),
    [
        (422, "validation", "validation"),
        (400, "bad_json", "validation"),
        (413, "too_large", "body_size"),
        (401, "key", "key"),
        (404, "unknown_model", "not_found"),
        (422, "too_long", "tokenization"),
        (422, "too_many_inputs", "batch_size"),
        (424, "wrong_model", "model_type"),
        (429, "overloaded", "overloaded"),
        (500, "fault", "inference"),
        (503, "loading", "unhealthy"),
        (503, "timeout", "dropped"),
        (LEFT, None, "dropped"),
    ],
)
def test_a_failure_is_counted_by_its_reason(metrics, status, problem, label):
    metrics.note_request(outcome(status, problem=problem))
    assert changed(metrics) == {
        'te_request_count{method="single"}': 1,
        f'te_request_failure{{err="{label}"}}': 1,
    }


def test_questions_about_the_server_are_not_counted(metrics):
    metrics.note_request(outcome(method="GET"))
    assert changed(metrics) == {}


@pytest.mark.parametrize("lengths", [[1, 2, 3, 4, 9000], [5] * 40 + [8, 9] * 10])
def test_a_bucket_counts_all_values_up_to_its_bound(metrics, lengths):
    """Both ways of counting: one by one, and many at once."""
    metrics.note_lengths(lengths)
    found = numbers(metrics)
    for bound in (2**power for power in range(14)):
        expected = sum(length <= bound for length in lengths)
        assert found[f'te_request_input_length_bucket{{le="{bound}"}}'] == expected
    assert found['te_request_input_length_bucket{le="+Inf"}'] == len(lengths)
    assert found["te_request_input_length_count"] == len(lengths)
    assert found["te_request_input_length_sum"] == sum(lengths)


def test_a_batch_counts_its_texts_and_tokens(metrics):
    metrics.note_batch(3, 40)
    assert changed(metrics) == {
        **{"te_batch_next_size_sum": 3, "te_batch_next_size_count": 1},
        **{"te_batch_next_tokens_sum": 40, "te_batch_next_tokens_count": 1},
    }
    assert numbers(metrics)['te_batch_next_tokens_bucket{le="32"}'] == 0
    assert numbers(metrics)['te_batch_next_tokens_bucket{le="64"}'] == 1


def test_any_process_tells_the_sums_of_all():
    rows = np.zeros((2, COLUMNS))
    one, two = (Metrics(rows, row) for row in range(2))
    one.note_batch(1, 5)
    two.note_batch(2, 6)
    one.set_queue_size(3)
    two.set_queue_size(4)
    for metrics in (one, two):
        assert changed(metrics)["te_queue_size"] == 7
        assert changed(metrics)["te_batch_next_tokens_sum"] == 11
    again = Metrics(rows, 1)  # of a process that took the place of one that died
    assert changed(again)["te_batch_next_tokens_sum"] == 11
    assert changed(again)["te_queue_size"] == 3  # its queue is gone


def test_the_route_answers_as_prometheus_reads_it(server):
    server.request("POST", "/v1/embeddings", {"input": ["a dog", "the cat sat."]})
    answer = server.request("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "\nte_embed_count 2\n" in answer.text()
    assert "\nte_request_input_length_count 2\n" in answer.text()
    assert '\nte_batch_next_size_bucket{le="2"} 1\n' in answer.text()

"""Core: the vectors, states and scores of encode and predict; admission; who waits for whom."""

import asyncio
import json
import logging
import threading

import numpy as np
import pytest
from golden_files import GOLDEN, PAIRS, change_tensors, copy_of, edit_json
from prompted import PROMPTS

from minibert import CrossEncoder, SentenceTransformer
from minibert.server.core import Core
from minibert.server.facts import Facts
from minibert.server.metrics import Metrics
from minibert.server.refusals import RequestError
from minibert.server.served import load_models
from minibert.server.settings import ModelPlace, Settings
from minibert.server.worker import Rate

TEXTS = json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))
LONG = "the dog barks at the cat, " * 9 + "and London sat in the end."  # above 41 tokens
CLOSE = {"rtol": 0, "atol": 2e-6}  # to the vectors of encode


def settings_of(folder, **options):
    options = {"opened_as": {"threads": 2}, **options}
    return Settings((ModelPlace("m", str(folder)),), **options)


def in_core(folder, work, **options):
    """What `work(core, models)` returns, in a loop of its own."""
    settings = settings_of(folder, **options)
    models = load_models(settings)

    async def main():
        core = Core(settings)
        try:
            return await asyncio.wait_for(work(core, models), 60)
        finally:
            core.stop()

    return asyncio.run(main())


def embedded(folder, texts, *, name="m", options=None, facts=None, **arguments):
    """Vectors of texts, and the number of their tokens."""

    def work(core, models):
        found = models.find(name, "embedding")
        return core.embed(facts or Facts(), found, texts, **arguments)

    return in_core(folder, work, **(options or {}))


def refused(folder, texts, **arguments):
    """The RequestError of texts that cannot be embedded."""
    with pytest.raises(RequestError) as caught:
        embedded(folder, texts, **arguments)
    return caught.value


def encoder(folder, **arguments):
    return SentenceTransformer(folder, on_long="ignore", threads=2, **arguments)


async def hold(core):
    """Keep the worker busy. Returns a function that lets it go on."""
    begun, release = threading.Event(), threading.Event()

    def wait():
        begun.set()
        release.wait(30)

    holding = asyncio.ensure_future(core.run(Facts(), wait, 0))
    await asyncio.to_thread(begun.wait, 30)

    async def let_go():
        release.set()
        await holding

    return let_go


async def queued(core, texts):
    """Wait until so many texts are in the queue."""
    while core.queue.texts < texts:
        await asyncio.sleep(0.001)


async def at_once(core, calls, texts):
    """What calls of the core give, errors too, that wait together in the queue with `texts`."""
    let_go = await hold(core)
    waiting = [asyncio.ensure_future(call) for call in calls]
    await queued(core, texts)
    await let_go()
    return await asyncio.gather(*waiting, return_exceptions=True)


def batches_of(found):
    """A list that gets the rows of each batch that a model computes from now on."""
    transformer, batches = found.served.model.transformer, []
    packs = transformer.packs
    transformer.packs = lambda ids, *rest: batches.append(ids) or packs(ids, *rest)
    return batches


@pytest.fixture
def prompted_folder(tmp_path):
    """A folder with prompts, and a maximum length of its own for queries."""
    folder = copy_of("gelu", tmp_path)
    edit_json(folder / "config_sentence_transformers.json", prompts=PROMPTS)
    edit_json(folder / "sentence_bert_config.json", query_length=12)
    return folder


@pytest.fixture
def damaged_folder(tmp_path):
    """A folder whose word "dog" overflows in the first layer norm."""
    folder = copy_of("gelu", tmp_path)
    dog = SentenceTransformer(folder).tokens("dog").ids[1]

    def spoil(tensors):
        (name,) = (name for name in tensors if name.endswith("word_embeddings.weight"))
        tensors[name] = tensors[name].copy()
        tensors[name][dog] = 3e38 * (-1.0) ** np.arange(tensors[name].shape[1])

    change_tensors(folder, spoil)
    return folder


# The same results


@pytest.mark.parametrize(
    "name",
    ["gelu", "modules", "poolings", "mpnet", "xlm_roberta", "modernbert", "large_epsilon"],
)
@pytest.mark.parametrize("normalize", [False, True])
def test_vectors_are_those_of_encode(name, normalize):
    found = embedded(GOLDEN / name, TEXTS, normalize=normalize)
    model = encoder(GOLDEN / name)
    expected = model.encode(TEXTS, normalize_embeddings=normalize)
    np.testing.assert_allclose(found.vectors, expected, **CLOSE)
    assert found.vectors.dtype == np.float32
    assert found.tokens == sum(len(model.tokens(text).ids) for text in TEXTS)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("rule", ["auto", "always", "never"])
def test_a_silent_request_goes_by_the_rule(folder, edit, metric, rule):
    edit(folder / "config_sentence_transformers.json", similarity_fn_name=metric)
    found = embedded(folder, TEXTS, options={"normalize": rule}).vectors
    is_unit = rule == "always" or (rule == "auto" and metric == "cosine")
    expected = encoder(folder).encode(TEXTS, normalize_embeddings=is_unit)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("rule", ["always", "never"])
@pytest.mark.parametrize("normalize", [False, True])
def test_a_request_that_says_overrides_the_rule(dot_model, rule, normalize):
    options = {"normalize": rule}
    found = embedded(dot_model, TEXTS, options=options, normalize=normalize).vectors
    expected = encoder(dot_model).encode(TEXTS, normalize_embeddings=normalize)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("normalize", [False, True])
def test_dimensions_are_cut_before_the_length_is_1(normalize):
    found = embedded(GOLDEN / "gelu", TEXTS, dimensions=7, normalize=normalize).vectors
    expected = encoder(GOLDEN / "gelu").encode(
        TEXTS, truncate_dim=7, normalize_embeddings=normalize
    )
    assert found.shape == (len(TEXTS), 7)
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_the_folder_s_own_dimension_is_the_default(folder, edit):
    edit(folder / "config_sentence_transformers.json", truncate_dim=5)
    assert embedded(folder, TEXTS[:2]).vectors.shape == (2, 5)
    found = embedded(folder, TEXTS[:2], dimensions=20, normalize=False).vectors
    expected = encoder(folder).encode(TEXTS[:2], truncate_dim=20)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("task", ["query", "document"])
def test_a_task_gives_prompt_and_limit_of_its_own(prompted_folder, task):
    found = embedded(prompted_folder, TEXTS, name=f"m:{task}", normalize=False).vectors
    model = encoder(prompted_folder)
    expected = getattr(model, f"encode_{task}")(TEXTS)
    np.testing.assert_allclose(found, expected, **CLOSE)
    assert not np.allclose(expected, model.encode(TEXTS), atol=1e-3)


def test_a_prompt_is_taken_by_its_name(prompted_folder):
    found = embedded(prompted_folder, TEXTS, prompt_name="document", normalize=False).vectors
    expected = encoder(prompted_folder).encode(TEXTS, prompt_name="document")
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_the_default_prompt_counts_where_none_is_named(prompted_folder, edit):
    edit(prompted_folder / "config_sentence_transformers.json", default_prompt_name="query")
    found = embedded(prompted_folder, TEXTS, normalize=False).vectors
    np.testing.assert_allclose(found, encoder(prompted_folder).encode(TEXTS), **CLOSE)


def test_an_excluded_prompt_is_not_pooled(prompted_folder, edit):
    edit(prompted_folder / "1_Pooling" / "config.json", include_prompt=False)
    found = embedded(prompted_folder, TEXTS, prompt_name="document", normalize=False).vectors
    expected = encoder(prompted_folder).encode(TEXTS, prompt_name="document")
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("mode", ["cls", "lasttoken", "max", "weightedmean"])
def test_any_pooling_gives_the_vectors_of_encode(folder, edit, mode):
    edit(folder / "1_Pooling" / "config.json", pooling_mode=mode)
    found = embedded(folder, TEXTS, normalize=False).vectors
    np.testing.assert_allclose(found, encoder(folder).encode(TEXTS), **CLOSE)


def test_no_texts_give_no_vectors():
    found = embedded(GOLDEN / "gelu", [])
    assert (found.vectors.shape, found.tokens) == ((0, 20), 0)


def test_token_states_are_those_of_encode():
    def work(core, models):
        return core.token_states(Facts(), models.find("m", "embedding"), TEXTS)

    # Not normalised, so rounding beside other texts may be above CLOSE; reproducible, it is none.
    found = in_core(GOLDEN / "gelu", work, reproducible=True)
    model = encoder(GOLDEN / "gelu", reproducible=True)
    expected = model.encode(TEXTS, output_value="token_embeddings")
    assert found.tokens == sum(map(len, expected))
    for states, wanted in zip(found.states, expected, strict=True):
        np.testing.assert_array_equal(states, wanted)


def score(folder, pairs, **arguments):
    def work(core, models):
        found = models.find("m", "reranker", "classifier")
        return core.score(Facts(), found, pairs, **arguments)

    return in_core(folder, work)


def test_scores_of_several_labels_are_their_softmax():
    model = CrossEncoder(GOLDEN / "cross_encoder", on_long="ignore")
    found = score(GOLDEN / "cross_encoder", PAIRS)
    assert found.scores.shape == (len(PAIRS), 3)
    np.testing.assert_allclose(found.scores, model.predict(PAIRS, apply_softmax=True), **CLOSE)
    raw = score(GOLDEN / "cross_encoder", PAIRS, raw=True).scores
    np.testing.assert_allclose(raw, model.predict(PAIRS, activation_fn="identity"), **CLOSE)


def test_the_score_of_one_label_is_its_sigmoid(one_label):
    model = CrossEncoder(one_label, on_long="ignore")
    found = score(one_label, PAIRS).scores
    assert found.shape == (len(PAIRS),)
    np.testing.assert_allclose(found, model.predict(PAIRS, activation_fn="sigmoid"), **CLOSE)


def test_pairs_and_single_texts_are_scored_in_one_batch():
    """Single texts have no token types, and the texts of a pair have."""
    texts = [PAIRS[0], "the cat", PAIRS[1]]

    async def work(core, models):
        found = models.find("m", "classifier")
        batches = batches_of(found)
        calls = [core.score(Facts(), found, [text]) for text in texts]
        scored = await at_once(core, calls, 3)
        return [one.scores[0] for one in scored], batches

    found, batches = in_core(GOLDEN / "cross_encoder", work)
    expected = [score(GOLDEN / "cross_encoder", [text]).scores[0] for text in texts]
    np.testing.assert_allclose(found, expected, **CLOSE)
    assert [len(rows) for rows in batches] == [3]


@pytest.mark.parametrize("name", ["gelu", "modules", "modernbert"])
def test_reproducible_vectors_are_encode_s_bit_for_bit(name):
    """Whatever waits beside a text, and in whatever request."""
    asked = [TEXTS, TEXTS[3:5], TEXTS[::-1]]

    async def work(core, models):
        found = models.find("m", "embedding")
        calls = [core.embed(Facts(), found, texts) for texts in asked]
        return await at_once(core, calls, 2 * len(TEXTS) + 2)

    first, second, third = (one.vectors for one in in_core(GOLDEN / name, work, reproducible=True))
    expected = encoder(GOLDEN / name, reproducible=True).encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(second, expected[3:5])
    np.testing.assert_array_equal(third, expected[::-1])


@pytest.mark.parametrize("batch_tokens", [1, 16, 60])
def test_a_large_request_is_computed_in_parts(batch_tokens):
    texts = TEXTS * 3

    async def work(core, models):
        found = models.find("m", "embedding")
        batches = batches_of(found)
        return (await core.embed(Facts(), found, texts)).vectors, batches

    found, batches = in_core(
        GOLDEN / "gelu", work, max_batch_tokens=batch_tokens, max_request_tokens=300
    )
    expected = encoder(GOLDEN / "gelu").encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, **CLOSE)
    assert len(batches) > 1
    assert max(sum(map(len, rows)) for rows in batches) <= max(batch_tokens, 41)


def test_several_models_are_computed_side_by_side(dot_model):
    settings = Settings((ModelPlace("a", str(GOLDEN / "modules")), ModelPlace("b", str(dot_model))))

    async def work():
        core, models = Core(settings), load_models(settings)
        asked = [(name, text) for text in TEXTS for name in "ab"]
        results = await asyncio.gather(
            *(core.embed(Facts(), models.find(name, "embedding"), [text]) for name, text in asked)
        )
        core.stop()
        return [result.vectors[0] for result in results]

    found = asyncio.run(work())
    a = encoder(GOLDEN / "modules").encode(TEXTS, normalize_embeddings=True)
    b = encoder(dot_model).encode(TEXTS)
    np.testing.assert_allclose(found[::2], a, **CLOSE)
    np.testing.assert_allclose(found[1::2], b, **CLOSE)


# Long texts, and token ids


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("own", ["left", "right"])
def test_a_long_text_loses_its_tokens_at_the_side_asked_for(folder, edit, side, own):
    edit(folder / "tokenizer_config.json", truncation_side=side)
    expected = encoder(folder).encode([LONG])
    edit(folder / "tokenizer_config.json", truncation_side=own)
    found = embedded(folder, [LONG], side=side, normalize=False).vectors
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_silent_request_truncates_at_the_folder_s_side(folder, edit, side):
    edit(folder / "tokenizer_config.json", truncation_side=side)
    found = embedded(folder, [LONG, "the cat"], normalize=False).vectors
    np.testing.assert_allclose(found, encoder(folder).encode([LONG, "the cat"]), **CLOSE)


def test_what_was_truncated_is_told():
    facts = Facts()
    embedded(GOLDEN / "gelu", [LONG, "the cat", LONG], facts=facts)
    assert (facts.model, facts.texts, facts.truncated) == ("m", 3, 2)
    assert facts.tokens == 41 + 4 + 41
    assert min(facts.tokenize_s, facts.compute_s) > 0


def test_a_long_text_is_refused_where_none_is_truncated():
    error = refused(GOLDEN / "gelu", ["a", LONG], truncate=False)
    assert error.kind == "too_long"
    assert error.message.startswith("Text 1 of 2 is longer than 41 tokens")
    assert embedded(GOLDEN / "gelu", ["a"], truncate=False).tokens == 3


def test_ids_with_special_tokens_are_the_text_they_came_from():
    model = encoder(GOLDEN / "gelu")
    ids = model.tokens("the cat sat.").ids
    found = embedded(GOLDEN / "gelu", ["a", ids, "the dog"], normalize=False)
    expected = model.encode(["a", "the cat sat.", "the dog"])
    np.testing.assert_allclose(found.vectors, expected, **CLOSE)


def test_ids_without_special_tokens_get_none():
    model = encoder(GOLDEN / "gelu")
    ids = model.tokens("the cat sat.").ids
    assert embedded(GOLDEN / "gelu", [ids[1:-1]]).tokens == len(ids) - 2
    assert embedded(GOLDEN / "gelu", [ids]).tokens == len(ids)


def test_after_a_prompt_ids_are_their_text(prompted_folder):
    model = encoder(prompted_folder)
    ids = model.tokens("cats sat.").ids
    expected = model.encode(["cats sat.", "a"], prompt_name="document")
    for given in (ids, ids[1:-1]):
        found = embedded(
            prompted_folder, [given, "a"], prompt_name="document", normalize=False
        ).vectors
        np.testing.assert_allclose(found, expected, **CLOSE)


def test_long_ids_are_truncated_or_refused_as_texts_are():
    ids = encoder(GOLDEN / "gelu").transformer.text_tokenizer.rows([LONG], None).ids[0].tolist()
    assert embedded(GOLDEN / "gelu", [ids]).tokens == 41
    assert refused(GOLDEN / "gelu", [ids], truncate=False).kind == "too_long"


def test_ids_without_a_token_are_refused():
    error = refused(GOLDEN / "gelu", [[10**6]])
    assert error.kind == "validation"
    assert "no token" in error.message


# Refusals


@pytest.mark.parametrize("dimensions", [0, -1, 21])
def test_dimensions_that_the_model_lacks_are_refused(dimensions):
    error = refused(GOLDEN / "gelu", ["a"], dimensions=dimensions)
    assert (error.kind, error.field) == ("validation", "dimensions")
    assert f"{dimensions}; this model has 1 to 20" in error.message


def test_an_unknown_prompt_is_refused():
    error = refused(GOLDEN / "gelu", ["a"], prompt_name="poem")
    assert (error.kind, error.field) == ("validation", "prompt_name")


def test_more_tokens_than_a_request_may_have_are_refused():
    options = {"max_request_tokens": 8}
    assert embedded(GOLDEN / "gelu", ["a", "the cat"][:1], options=options).tokens == 3
    error = refused(GOLDEN / "gelu", ["the cat"] * 3, options=options)
    assert error.kind == "too_many_tokens"
    assert "12 tokens; a request may have 8 (--max-request-tokens" in error.message


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        ({"max_batch_tokens": 10_000}, 300_000),
        ({"max_batch_tokens": 1024}, 65_536),
        ({"max_queue_tokens": 70}, 70),
        ({"max_queue_tokens": 70, "max_request_tokens": 71}, 71),
    ],
)
def test_a_request_has_no_more_tokens_than_may_wait(options, tokens):
    assert Settings((), **options).request_tokens == tokens


def test_what_alone_takes_longer_than_the_timeout_is_refused():
    """At 2 tokens a second, 18 tokens take 9 seconds; 21 take longer."""

    async def work(core, models):
        found = models.find("m", "embedding")
        core.worker.rates[found.served].note(200, 100.0)
        taken = await core.embed(Facts(), found, ["a"] * 6)
        with pytest.raises(RequestError) as caught:
            await core.embed(Facts(), found, ["a"] * 7)
        return taken.tokens, caught.value

    tokens, error = in_core(GOLDEN / "gelu", work, request_timeout=9.0, max_batch_tokens=10_000)
    assert (tokens, error.kind) == (18, "too_many_tokens")
    assert error.message == (
        "The texts have 21 tokens, which would take about 10 seconds; a request has 9. Send fewer "
        "texts at a time, or start the server with a longer --request-timeout."
    )


def test_a_slow_model_refuses_no_request_to_another():
    async def work(core, models):
        core.worker.rates["another"].note(2, 100.0)
        return await core.embed(Facts(), models.find("m", "embedding"), ["a"] * 7)

    assert in_core(GOLDEN / "gelu", work, request_timeout=9.0).tokens == 21


def test_nan_is_told_without_the_folder_and_logged_with_it(damaged_folder, caplog):
    with caplog.at_level(logging.ERROR, "minibert"):
        error = refused(damaged_folder, ["a dog barks"])
    assert error.kind == "not_finite"
    assert str(damaged_folder) not in error.message
    assert f"{damaged_folder}: a result holds NaN" in caplog.text
    assert "barks" not in caplog.text


# The queue


def test_nan_of_one_request_harms_no_other_s(damaged_folder):
    texts = [["the cat"], ["a dog", "the cat sat."], ["a", "London"]]

    async def work(core, models):
        found = models.find("m", "embedding")
        batches = batches_of(found)
        results = await at_once(core, [core.embed(Facts(), found, one) for one in texts], 5)
        return results, batches

    (first, second, third), batches = in_core(damaged_folder, work)
    assert len(batches[0]) == 5  # all of them came into one batch
    assert second.kind == "not_finite"
    model = encoder(damaged_folder)
    for result, asked in ((first, texts[0]), (third, texts[2])):
        expected = model.encode(asked, normalize_embeddings=True)
        np.testing.assert_allclose(result.vectors, expected, **CLOSE)


def test_after_an_error_in_a_part_the_rest_does_not_wait(damaged_folder):
    async def work(core, models):
        found = models.find("m", "embedding")
        with pytest.raises(RequestError):
            await core.embed(Facts(), found, ["a dog", *TEXTS * 200])
        return core.queue.tokens, core.queue.texts

    assert in_core(damaged_folder, work, max_batch_tokens=1) == (0, 0)


def test_equal_texts_of_a_batch_are_computed_once():
    asked = [["a", "the cat", "a"], ["the cat"], ["the dog"]]

    async def work(core, models):
        found = models.find("m", "embedding")
        batches = batches_of(found)
        results = await at_once(core, [core.embed(Facts(), found, texts) for texts in asked], 5)
        return [result.vectors for result in results], batches

    (first, second, third), batches = in_core(GOLDEN / "gelu", work)
    assert [len(rows) for rows in batches] == [3]
    a, cat, dog = encoder(GOLDEN / "gelu").encode(
        ["a", "the cat", "the dog"], normalize_embeddings=True
    )
    np.testing.assert_allclose(first, [a, cat, a], **CLOSE)
    np.testing.assert_allclose(second, [cat], **CLOSE)
    np.testing.assert_allclose(third, [dog], **CLOSE)


def test_equal_tokens_of_other_types_are_no_duplicates():
    """A pair, and one text with the same tokens, differ in their token types alone."""
    pair, text = ("the cat", "a dog"), "the cat[SEP]a dog"

    async def work(core, models):
        found = models.find("m", "classifier")
        batches = batches_of(found)
        calls = [core.score(Facts(), found, [one], raw=True) for one in (pair, text)]
        return [result.scores[0] for result in await at_once(core, calls, 2)], batches

    found, [rows] = in_core(GOLDEN / "cross_encoder", work)
    np.testing.assert_array_equal(*rows)
    expected = [score(GOLDEN / "cross_encoder", [one], raw=True).scores[0] for one in (pair, text)]
    np.testing.assert_allclose(found, expected, **CLOSE)
    assert not np.allclose(*expected, atol=1e-3)


def test_a_request_that_ended_is_not_computed():
    asked = [["a"], ["the cat", "the dog"], ["London"]]

    async def work(core, models):
        found = models.find("m", "embedding")
        batches = batches_of(found)
        let_go = await hold(core)
        waiting = [asyncio.ensure_future(core.embed(Facts(), found, texts)) for texts in asked]
        await queued(core, 4)
        waiting[1].cancel()
        await asyncio.wait([waiting[1]])
        left = core.queue.texts
        await let_go()
        return left, await asyncio.gather(*waiting, return_exceptions=True), batches

    left, (first, second, third), batches = in_core(GOLDEN / "gelu", work)
    assert (left, [len(rows) for rows in batches]) == (2, [2])
    assert isinstance(second, asyncio.CancelledError)
    assert first.vectors.shape == third.vectors.shape == (1, 20)


def test_a_full_queue_refuses_and_an_empty_one_takes_any_request():
    async def work(core, models):
        found = models.find("m", "embedding")
        let_go = await hold(core)
        large = asyncio.ensure_future(core.embed(Facts(), found, TEXTS))  # above the bound
        await queued(core, len(TEXTS))
        with pytest.raises(RequestError) as caught:
            await core.embed(Facts(), found, ["a"])
        await let_go()
        return caught.value, await large, await core.embed(Facts(), found, ["a"])

    limits = {"max_queue_tokens": 20, "max_request_tokens": 10_000}
    error, large, after = in_core(GOLDEN / "gelu", work, **limits)
    assert (error.kind, error.retry_after) == ("overloaded", 1)
    assert error.message == (
        f"The queue is full: {large.tokens} tokens wait, of at most 20; try again in 1 s."
    )
    assert (large.tokens > 20, after.tokens) == (True, 3)


def test_what_would_wait_beyond_the_timeout_is_refused_at_once():
    """At 2 tokens a second, 18 tokens that wait and about 3 more take longer than 9 seconds."""

    async def work(core, models):
        found = models.find("m", "embedding")
        core.worker.rate.note(200, 100.0)
        let_go = await hold(core)
        waiting = [asyncio.ensure_future(core.embed(Facts(), found, ["a"])) for _ in range(6)]
        await queued(core, 6)
        with pytest.raises(RequestError) as caught:
            await core.embed(Facts(), found, ["the cat sat."])
        await let_go()
        return caught.value, [result.tokens for result in await asyncio.gather(*waiting)]

    error, tokens = in_core(GOLDEN / "gelu", work, request_timeout=9.0)
    assert tokens == [3] * 6
    assert error.kind == "overloaded"
    assert "18 tokens wait, and yours would be computed after more than 9 seconds" in error.message
    assert error.retry_after == (18 + 3) / 2 - 9


def test_a_full_queue_tells_when_it_has_room():
    async def work(core, models):
        found = models.find("m", "embedding")
        core.worker.rate.note(3, 21.0)
        let_go = await hold(core)
        waiting = asyncio.ensure_future(core.embed(Facts(), found, ["a"]))
        await queued(core, 1)
        with pytest.raises(RequestError) as caught:
            await core.embed(Facts(), found, ["a"])
        await let_go()
        await waiting
        return caught.value.retry_after

    assert in_core(GOLDEN / "gelu", work, max_queue_tokens=5, request_timeout=1e6) == 7.0


def test_a_small_batch_tells_no_rate_and_a_full_one_does():
    """A token of a lone query takes many times as long as one of a full batch."""

    async def work(core, models):
        found = models.find("m", "embedding")
        await core.embed(Facts(), found, ["the cat sat."])
        rates = core.worker.rate, core.worker.rates[found.served]
        before = [rate.seconds_of(1000) for rate in rates]
        await core.embed(Facts(), found, ["the cat sat on the mat.", "a dog barks at a cat."])
        return before, [rate.seconds_of(1000) for rate in rates]

    before, (of_all, of_model) = in_core(GOLDEN / "gelu", work, max_batch_tokens=16)
    assert before == [0, 0]
    assert of_all == of_model > 0


def test_the_last_batches_count_most_in_a_rate():
    rate = Rate()
    assert rate.seconds_of(100) == 0
    rate.note(100, 1.0)
    rate.note(100, 3.0)
    assert rate.seconds_of(190) == pytest.approx(0.9 * 1 + 3)


def test_a_queue_is_filled_up_to_its_last_token():
    async def work(core, models):
        found = models.find("m", "embedding")
        let_go = await hold(core)
        waiting = [asyncio.ensure_future(core.embed(Facts(), found, ["a"])) for _ in range(4)]
        await queued(core, 4)
        with pytest.raises(RequestError):
            await core.embed(Facts(), found, ["a"])
        await let_go()
        return [result.tokens for result in await asyncio.gather(*waiting)]

    assert in_core(GOLDEN / "gelu", work, max_queue_tokens=12) == [3, 3, 3, 3]


def test_texts_that_are_being_tokenised_count_as_waiting():
    async def work(core, models):
        found = models.find("m", "embedding")
        tokenizer, release = found.served.model.transformer.text_tokenizer, threading.Event()
        rows, begun = tokenizer.rows, threading.Event()

        def slow(texts, *rest, **named):
            if len(texts) > 1:
                begun.set()
                release.wait(30)
            return rows(texts, *rest, **named)

        tokenizer.rows = slow
        many = asyncio.ensure_future(core.embed(Facts(), found, [LONG] * 50))
        await asyncio.to_thread(begun.wait, 30)
        with pytest.raises(RequestError) as caught:
            await core.embed(Facts(), found, ["a"])
        release.set()
        await many
        return caught.value, await core.embed(Facts(), found, ["a"])

    error, after = in_core(GOLDEN / "gelu", work, max_queue_tokens=1000, max_request_tokens=5000)
    assert error.kind == "overloaded"
    assert after.tokens == 3


def test_a_function_is_run_in_the_worker_in_its_turn():
    async def work(core, models):
        order = []
        let_go = await hold(core)
        calls = [
            asyncio.ensure_future(core.run(Facts(), lambda n=n: order.append(n) or n, 5))
            for n in range(3)
        ]
        while core.queue.tokens < 15:
            await asyncio.sleep(0.001)
        await let_go()
        return await asyncio.gather(*calls), order

    assert in_core(GOLDEN / "gelu", work) == ([0, 1, 2], [0, 1, 2])


def test_a_function_s_value_error_is_told_and_a_fault_is_raised():
    async def work(core, models):
        def wrong():
            raise ValueError("k is 0; expected 1 at least.")

        def fault():
            raise KeyError("lost")

        with pytest.raises(RequestError, match="k is 0") as caught:
            await core.run(Facts(), wrong, 1)
        with pytest.raises(KeyError):
            await core.run(Facts(), fault, 1)
        return caught.value.kind, await core.run(Facts(), lambda: "goes on", 1)

    assert in_core(GOLDEN / "gelu", work) == ("validation", "goes on")


def test_a_fault_while_texts_are_computed_is_no_client_s_error():
    """NumPy raises ValueError for arrays that do not fit, which only the server can have made."""

    async def work(core, models):
        found = models.find("m", "embedding")

        def packs(*_):
            raise ValueError("operands could not be broadcast together")

        found.served.model.transformer.packs = packs
        with pytest.raises(ValueError, match="broadcast"):
            await core.embed(Facts(), found, ["a"])

    in_core(GOLDEN / "gelu", work)


def test_a_request_that_left_the_queue_tells_its_time_in_it():
    async def work(core, models):
        facts = Facts()
        let_go = await hold(core)
        waiting = asyncio.ensure_future(core.embed(facts, models.find("m", "embedding"), ["a"]))
        await queued(core, 1)
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
        await let_go()
        return facts.queue_s

    assert in_core(GOLDEN / "gelu", work) >= 0.01


def test_the_metrics_are_told_of_each_batch():
    settings = settings_of(GOLDEN / "gelu")
    models = load_models(settings)
    metrics = Metrics()

    async def main():
        core = Core(settings, metrics)
        await core.embed(Facts(), models.find("m", "embedding"), ["a", "the cat"])
        core.stop()

    asyncio.run(main())
    found = metrics.text()
    assert "\nte_batch_next_size_count 1\n" in found
    assert "\nte_batch_next_size_sum 2\n" in found
    assert "\nte_batch_next_tokens_sum 7\n" in found
    assert '\nte_request_input_length_bucket{le="2"} 0\n' in found
    assert "\nte_request_input_length_sum 7\n" in found


def test_the_worker_ends_after_what_waits():
    async def work(core, models):
        found = models.find("m", "embedding")
        let_go = await hold(core)
        waiting = asyncio.ensure_future(core.embed(Facts(), found, ["a"]))
        await queued(core, 1)
        core.stop()
        await let_go()
        result = await waiting
        for _ in range(1000):
            if not core.worker.is_alive:
                break
            await asyncio.sleep(0.01)
        return result.tokens, core.worker.is_alive

    assert in_core(GOLDEN / "gelu", work) == (3, False)

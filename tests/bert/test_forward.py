"""The forward pass: what is computed for some tokens only, and the softmax's shortcut."""

import numpy as np
import pytest

from minibert.bert.forward import hidden_states
from minibert.bert.packs import packs
from minibert.kernels import cpu as kernels
from minibert.kernels.segments import firsts, split_rows
from minibert.pooling.modes import lasts


def pack_of(model, texts):
    (pack,) = packs(model.transformer.text_tokenizer.rows(texts, 41).ids, 10_000)
    return pack


@pytest.mark.parametrize("pooled_tokens", [firsts, lasts])
def test_the_last_layer_of_pooled_tokens_alone_is_the_same(model, pooled_tokens):
    pack = pack_of(model, ["the cat sat", "a dog", "a cat", "", "the dog barks and barks", "a"])
    arguments = pack, model.transformer.parameters, model.config, kernels
    whole, rows = hidden_states(*arguments), pooled_tokens(pack.lengths)
    some = hidden_states(*arguments, query_rows=rows)
    assert some.shape == (6, 20)
    np.testing.assert_allclose(some, whole[rows], rtol=0, atol=1e-5)


def test_a_head_of_one_token_gets_that_token_alone(model):
    shapes = []

    def head(pack, hidden, hook):
        shapes.append((hidden.shape, pack.lengths.tolist()))
        return (hidden,)

    (pack,) = [pack_of(model, ["the cat sat", "a dog"])]
    list(model.transformer.scheduler.run([pack], head, firsts, is_all=True))
    assert shapes == [((2, 20), [1, 1])]


def test_blocks_of_rows_change_no_state(model):
    texts = [" ".join(["the dog barks at the cat and"] * (1 + n % 5)) for n in range(300)]
    pack = pack_of(model, texts)
    assert pack.ids.size * 20 > 1.5 * kernels.BLOCK_FLOATS  # of a text alone there is one block
    arguments = model.transformer.parameters, model.config, kernels
    whole = split_rows(hidden_states(pack, *arguments), pack.lengths)
    alone = {text: hidden_states(pack_of(model, [text]), *arguments) for text in set(texts)}
    for text, states in zip(pack.order, whole, strict=True):
        np.testing.assert_allclose(states, alone[texts[text]], rtol=0, atol=1e-5)  # worst 2e-6

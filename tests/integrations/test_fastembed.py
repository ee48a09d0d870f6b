"""fastembed's shape over minibert: the same vectors as encode_document and encode_query give."""

import itertools

import numpy as np
import pytest
from golden_files import GOLDEN, copy_of, edit_json
from prompted import PROMPTS

from minibert import ModelUnavailableError, SentenceTransformer
from minibert.integrations.fastembed import SUPPORTED, TextEmbedding

TEXTS = ["the cat sat", "dogs bark at the cat", "London"]


@pytest.fixture
def fastembed_folder(tmp_path):
    folder = copy_of("relu", tmp_path)
    edit_json(folder / "config_sentence_transformers.json", prompts=PROMPTS)
    return folder


def test_passages_and_queries_have_the_model_s_prompts(fastembed_folder):
    model, made = SentenceTransformer(fastembed_folder), TextEmbedding(fastembed_folder)
    documents, queries = model.encode_document(TEXTS), model.encode_query(TEXTS)
    assert np.array_equal(list(made.embed(TEXTS)), documents)
    assert np.array_equal(list(made.passage_embed(TEXTS)), documents)
    assert np.array_equal(list(made.query_embed(TEXTS)), queries)
    assert not np.allclose(documents, queries)


def test_one_text_is_a_list_of_one_and_batches_change_nothing(fastembed_folder):
    made = TextEmbedding(fastembed_folder)
    (row,) = made.embed(TEXTS[0])
    assert row.shape == (made.embedding_size,)
    rows = list(made.embed(iter(TEXTS), batch_size=2, parallel=0))
    assert np.allclose(rows, list(made.embed(TEXTS)), atol=1e-6)


def test_an_endless_input_is_read_a_batch_at_a_time(fastembed_folder):
    endless = itertools.cycle(TEXTS)
    rows = TextEmbedding(fastembed_folder).embed(endless, batch_size=3)
    assert len(list(itertools.islice(rows, 4))) == 4
    assert next(endless) == TEXTS[0]  # two batches of three were read


def test_lazy_load_opens_the_model_at_its_first_use(fastembed_folder):
    made = TextEmbedding("no/such-model", lazy_load=True, local_files_only=True)
    with pytest.raises(ModelUnavailableError):
        made.embed(TEXTS)
    made = TextEmbedding("no/such-model", specific_model_path=str(fastembed_folder))
    assert made.model_name == "no/such-model"
    assert len(list(made.query_embed(TEXTS))) == 3


def test_tokens_are_counted_up_to_the_maximum_length():
    made = TextEmbedding(GOLDEN / "gelu")
    long = "the cat " * 500
    assert made.token_count(long) == made.model.max_seq_length
    expected = sum(len(one.ids) for one in made.model.tokens(TEXTS))
    assert made.token_count(TEXTS, batch_size=2) == expected


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"providers": ["TensorrtExecutionProvider"]}, "TensorrtExecutionProvider"),
        ({"cuda": True, "device_ids": [0, 1]}, "one GPU"),
    ],
)
def test_what_minibert_has_not_is_refused_by_name(given, word):
    with pytest.raises(ValueError, match=word):
        TextEmbedding(GOLDEN / "gelu", **given)


def test_the_provider_of_cpus_and_the_word_auto_are_taken():
    assert TextEmbedding(GOLDEN / "gelu", providers=["CPUExecutionProvider"], cuda="auto")
    assert TextEmbedding(GOLDEN / "gelu", providers=[("CPUExecutionProvider", {})])


def test_a_batch_of_no_texts_is_refused_at_the_call():
    with pytest.raises(ValueError, match="batch_size"):
        TextEmbedding(GOLDEN / "gelu").embed(TEXTS, batch_size=0)


def test_supported_models_have_their_dimensions():
    assert {one["model"]: one["dim"] for one in TextEmbedding.supported_models()} == SUPPORTED
    assert TextEmbedding.get_embedding_size("baai/BGE-small-en-v1.5") == 384
    with pytest.raises(ValueError, match="no/such-model"):
        TextEmbedding.get_embedding_size("no/such-model")

"""The encoder for MTEB, run by MTEB itself, beside its own over sentence-transformers."""

import mteb
import numpy as np
import pytest
import sentence_transformers
from datasets import Dataset
from golden_files import GOLDEN, MINILM, copy_of
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.mocks.mock_tasks import MockPairClassificationTask, MockSTSTask, MockSummarizationTask
from mteb.models import EncoderProtocol, SentenceTransformerEncoderWrapper
from mteb.types import PromptType

from minibert import SentenceTransformer
from minibert.evaluation import SAMPLE, means, measured, rankings, read_collection
from minibert.integrations.mteb import MinibertEncoder

COLLECTION = read_collection(SAMPLE)


class SampleTask(AbsTaskRetrieval):
    """minibert's sample collection as a task of MTEB."""

    metadata = TaskMetadata(
        type="Retrieval",
        name="MinibertSample",
        main_score="ndcg_at_10",
        dataset={"path": "minibert/sample", "revision": "1"},
        description="Short passages on everyday things, with words of several meanings.",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
    )

    def load_data(self, num_proc=None, **_):
        documents, queries, qrels = COLLECTION
        self.dataset = {
            "default": {
                "test": {
                    "corpus": Dataset.from_list(
                        [{"id": id, "title": "", "text": text} for id, text in documents.items()]
                    ),
                    "queries": Dataset.from_list(
                        [{"id": id, "text": text} for id, text in queries.items()]
                    ),
                    "relevant_docs": qrels,
                    "top_ranked": None,
                }
            }
        }
        self.data_loaded = True


def scores(model, task):
    """What MTEB measures, but the times it took."""
    (result,) = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results
    return {
        name: value
        for name, value in result.scores["test"][0].items()
        if isinstance(value, float | int)
    }


@pytest.fixture
def prompted(tmp_path, edit):
    """A model with a prompt for queries, one for documents, and one for a task."""
    folder = copy_of("gelu", tmp_path)
    prompts = {"query": "the cat ", "document": "the dog ", "Retrieval-query": "London "}
    edit(folder / "config_sentence_transformers.json", prompts=prompts, similarity_fn_name="dot")
    return folder


@pytest.fixture
def folders(prompted):
    return {"minilm": MINILM, "prompted": prompted}


@pytest.mark.parametrize("name", ["minilm", "prompted"])
def test_mteb_measures_the_same_of_both_and_the_same_as_minibert(name, folders):
    ours = MinibertEncoder(folders[name], on_long="ignore")
    theirs = SentenceTransformerEncoderWrapper(
        sentence_transformers.SentenceTransformer(str(folders[name]))
    )
    found = scores(ours, SampleTask())
    assert found == pytest.approx(scores(theirs, SampleTask()), abs=1e-5, nan_ok=True)
    if name == "minilm":
        own = means(measured(rankings(ours.model, COLLECTION), COLLECTION.qrels))
        of = {"ndcg@10": "ndcg_at_10", "recall@100": "recall_at_100", "mrr@10": "mrr_at_10"}
        assert {key: found[value] for key, value in of.items()} == pytest.approx(
            {key: own[key] for key in of}, abs=1e-5
        )


@pytest.mark.parametrize("task", [MockSTSTask, MockPairClassificationTask, MockSummarizationTask])
def test_tasks_without_queries_are_the_same(task, folders):
    ours = MinibertEncoder(folders["prompted"], on_long="ignore")
    theirs = SentenceTransformerEncoderWrapper(
        sentence_transformers.SentenceTransformer(str(folders["prompted"]))
    )
    assert scores(ours, task()) == pytest.approx(scores(theirs, task()), abs=1e-5, nan_ok=True)


def test_prompts_are_those_that_mteb_would_choose(prompted):
    encoder = MinibertEncoder(prompted)
    batches = [{"text": ["a cat"]}, {"text": ["a dog", "who"], "title": ["", ""]}]

    def encode(prompt_type, name):
        metadata = SampleTask.metadata.model_copy(update={"name": name})
        where = {"hf_split": "test", "hf_subset": "default"}
        return encoder.encode(batches, task_metadata=metadata, prompt_type=prompt_type, **where)

    texts = ["a cat", "a dog", "who"]
    for prompt_type, name, prompt in [
        (PromptType.query, "MinibertSample", "London "),
        (PromptType.query, "Another", "London "),
        (PromptType.document, "MinibertSample", "the dog "),
        (None, "MinibertSample", ""),
    ]:
        expected = encoder.model.encode([prompt + text for text in texts])
        np.testing.assert_allclose(encode(prompt_type, name), expected, atol=1e-5)


def test_queries_and_documents_have_the_folder_s_own_lengths(prompted, edit):
    edit(prompted / "sentence_bert_config.json", query_length=5, document_length=7)
    encoder = MinibertEncoder(prompted, on_long="ignore")
    for prompt_type, length in [(PromptType.query, 5), (PromptType.document, 7)]:
        vectors = encoder.encode(
            [{"text": ["a dog barks at a cat in London"]}], task_metadata=SampleTask.metadata,
            hf_split="test", hf_subset="default", prompt_type=prompt_type,
        )  # fmt: skip
        prompt = {5: "London ", 7: "the dog "}[length]
        plain = SentenceTransformer(prompted, on_long="ignore")
        plain.max_seq_length = length
        expected = plain.encode([prompt + "a dog barks at a cat in London"])
        np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_it_is_an_encoder_of_mteb_s_and_says_what_it_is(prompted):
    encoder = MinibertEncoder(prompted)
    assert isinstance(encoder, EncoderProtocol)
    meta = encoder.mteb_model_meta
    assert (meta.name, meta.revision) == (
        f"local/{prompted.name}",
        encoder.model.checkpoint.sha256(),
    )
    assert (meta.similarity_fn_name, meta.embed_dim, meta.use_instructions) == ("dot", 20, True)
    assert meta.max_tokens == encoder.model.max_seq_length
    plain = MinibertEncoder(GOLDEN / "gelu", "a-revision").mteb_model_meta
    assert (plain.name, plain.revision, plain.use_instructions) == (
        "local/gelu",
        "a-revision",
        False,
    )
    assert plain.similarity_fn_name == "cosine"
    vectors = encoder.model.encode(["a cat", "a dog"])
    found = encoder.similarity(vectors, vectors)
    np.testing.assert_array_equal(found, encoder.model.similarity(vectors, vectors))
    np.testing.assert_allclose(found, vectors @ vectors.T, rtol=1e-5)
    np.testing.assert_allclose(
        encoder.similarity_pairwise(vectors, vectors), (vectors**2).sum(axis=1), rtol=1e-6
    )


def test_what_is_no_text_is_refused(prompted):
    where = {"task_metadata": SampleTask.metadata, "hf_split": "test", "hf_subset": "default"}
    with pytest.raises(ValueError, match="A batch holds image; minibert encodes texts only"):
        MinibertEncoder(prompted).encode([{"image": [None]}], **where)

"""Evaluators under the reference's names: measures by hand, files, logs, bad input."""

import csv
import logging

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from minibert import InputExample, SentenceTransformer, evaluation, losses, util
from minibert.evaluation import (
    BinaryClassificationEvaluator,
    Collection,
    CrossEncoderClassificationEvaluator,
    CrossEncoderCorrelationEvaluator,
    CrossEncoderNanoBEIREvaluator,
    CrossEncoderRerankingEvaluator,
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
    LabelAccuracyEvaluator,
    MSEEvaluator,
    MSEEvaluatorFromDataFrame,
    NanoBEIREvaluator,
    ParaphraseMiningEvaluator,
    RerankingEvaluator,
    SentenceEvaluator,
    SequentialEvaluator,
    TranslationEvaluator,
    TripletEvaluator,
    means,
    measured,
    rankings,
    read_collection,
)
from minibert.training import DataLoader

# On a line: products and distances are easily worked out.
VECTORS = {"zero": [0, 1], "one": [1, 1], "two": [2, 1], "three": [3, 1], "minus": [-1, 1]}


class Table:
    """A model with the vectors of a table; queries are doubled, so that they are seen to be."""

    def __init__(self, metric="dot", num_labels=1):
        self.similarity_fn_name, self.num_labels, self.asked = metric, num_labels, []

    def encode(self, texts, truncate_dim=None, **options):
        self.asked.append((texts, options))
        return np.array([VECTORS[text] for text in texts], dtype=np.float32)[:, :truncate_dim]

    def encode_query(self, texts, **options):
        return 2 * self.encode(texts, **options)

    def encode_document(self, texts, **options):
        return self.encode(texts, **options)

    def predict(self, pairs, **options):
        self.asked.append((pairs, options))
        scores = [np.dot(VECTORS[one], VECTORS[other]) for one, other in pairs]
        rows = [[-score, 0.5, score - 4.5] for score in scores]
        return np.array(scores if self.num_labels == 1 else rows, dtype=np.float32)


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


FIRST, SECOND = ["zero", "one", "two", "two"], ["zero", "three", "zero", "three"]  # dot 1 4 1 7


def test_similarities_are_correlated_with_scores(tmp_path):
    evaluator = EmbeddingSimilarityEvaluator(FIRST, SECOND, [1, 2, 3, 4], name="sts")
    found = evaluator(Table(), tmp_path, 3, 70)
    assert evaluator.primary_metric == "sts_spearman_dot"
    assert found == {
        "sts_pearson_dot": pytest.approx(np.corrcoef([1, 2, 3, 4], [1, 4, 1, 7])[0, 1]),
        "sts_spearman_dot": pytest.approx(np.corrcoef([1, 2, 3, 4], [1.5, 3, 1.5, 4])[0, 1]),
    }
    evaluator(Table(), tmp_path)
    header, first, second = rows_of(tmp_path / "similarity_evaluation_sts_results.csv")
    assert header == ["epoch", "steps", "dot_pearson", "dot_spearman"]
    assert first[:2] == ["3", "70"]
    assert second[:2] == ["-1", "-1"]
    assert list(map(float, second[2:])) == list(found.values())


def test_of_several_metrics_the_highest_is_told():
    names = ["dot", "manhattan"]
    evaluator = EmbeddingSimilarityEvaluator(FIRST, SECOND, [1, 2, 3, 4], similarity_fn_names=names)
    found = evaluator(Table())
    assert evaluator.primary_metric == "spearman_max"
    assert found["pearson_max"] == max(found["pearson_dot"], found["pearson_manhattan"])
    assert found["spearman_max"] == max(found["spearman_dot"], found["spearman_manhattan"])


def test_codes_of_both_sides_have_one_range(model):
    evaluator = EmbeddingSimilarityEvaluator(
        ["the cat", "a dog"], ["London", "the cat sat"], [1, 2], precision="int8"
    )
    vectors = model.encode(
        ["the cat", "a dog", "London", "the cat sat"], precision="int8", normalize_embeddings=True
    )
    first, second = np.split(vectors.astype(np.float32), 2)
    scores = util.pairwise_cos_sim(first, second)
    assert evaluator(model)["pearson_cosine"] == np.sign(scores[1] - scores[0])
    assert evaluator.csv_file == "similarity_evaluation_int8_results.csv"


@pytest.mark.parametrize("precision", ["binary", "ubinary"])
def test_packed_bits_are_compared_as_numbers(model, precision):
    texts = ["the cat", "a dog", "London"], ["a dog", "London", "the cat sat"]
    evaluator = EmbeddingSimilarityEvaluator(*texts, [1, 2, 4], precision=precision)
    bits = [(model.encode(side) > 0).astype(np.float32) for side in texts]
    expected = np.corrcoef(util.pairwise_cos_sim(*bits), [1, 2, 4])[0, 1]
    assert evaluator(model)["pearson_cosine"] == pytest.approx(expected, abs=1e-6)


def test_pairs_are_told_apart_by_a_threshold(tmp_path):
    evaluator = BinaryClassificationEvaluator(FIRST, SECOND, [0, 1, 0, 1], name="dup")
    found = evaluator(Table(), tmp_path)
    assert found == {
        **{"dup_dot_accuracy": 1, "dup_dot_accuracy_threshold": 2.5, "dup_dot_f1": 1},
        **{"dup_dot_f1_threshold": 2.5, "dup_dot_precision": 1, "dup_dot_recall": 1},
        **{"dup_dot_ap": 1, "dup_dot_mcc": pytest.approx(1)},
    }
    assert evaluator.primary_metric == "dup_dot_ap"
    assert rows_of(tmp_path / "binary_classification_evaluation_dup_results.csv")[0][2:5] == [
        "dot_accuracy",
        "dot_accuracy_threshold",
        "dot_f1",
    ]


def test_thresholds_of_distances_are_distances():
    evaluator = BinaryClassificationEvaluator(
        FIRST, SECOND, [1, 0, 0, 1], similarity_fn_names=["euclidean", "manhattan"]
    )
    found = evaluator(Table())  # distances 0 2 2 1
    assert found["euclidean_f1_threshold"] == found["manhattan_accuracy_threshold"] == 1.5
    assert found["max_ap"] == found["euclidean_ap"] == 1
    assert evaluator.primary_metric == "max_ap"


def test_a_text_is_encoded_once(model):
    table = Table()
    BinaryClassificationEvaluator(FIRST, SECOND, [0, 1, 0, 1])(table)
    ((texts, options),) = table.asked
    assert sorted(texts) == ["one", "three", "two", "zero"]
    assert options["batch_size"] == 32


def test_triplets_take_queries_and_documents(tmp_path):
    # Products with doubled anchors: 2*(0+1), 2*(3+1) against 2*(0+1), 2*(2+1); margin 0 and 2.
    evaluator = TripletEvaluator(["zero", "one"], ["one", "three"], ["two", "two"])
    assert evaluator(Table(), tmp_path) == {"dot_accuracy": 0.5}
    assert TripletEvaluator(["one"], ["three"], ["two"], margin=2)(Table())["dot_accuracy"] == 0
    just_below = {"dot": 1.99}
    evaluator = TripletEvaluator(["one"], ["three"], ["two"], margin=just_below)
    assert evaluator(Table())["dot_accuracy"] == 1
    assert evaluator.get_config_dict()["margin"]["dot"] == 1.99
    assert rows_of(tmp_path / "triplet_evaluation_results.csv")[0] == [
        *("epoch", "steps", "accuracy_dot")
    ]


@pytest.fixture(scope="module")
def sample():
    """Some of the sample; a few of its relevant documents are left out."""
    documents, queries, qrels = read_collection(evaluation.SAMPLE)
    some = dict(list(queries.items())[:9])
    return Collection(
        dict(list(documents.items())[:30]), some, {query: qrels[query] for query in some}
    )


@pytest.fixture(scope="module")
def relevant(sample):
    return {
        query: {id for id, grade in grades.items() if grade > 0}
        for query, grades in sample.qrels.items()
    }


@pytest.mark.parametrize("size", [7, 1000])
def test_a_search_is_measured_as_by_our_own_evaluation(model, sample, relevant, size, tmp_path):
    evaluator = InformationRetrievalEvaluator(
        sample.queries, sample.documents, relevant, corpus_chunk_size=size,
        precision_recall_at_k=[100], map_at_k=[100, 1000],
    )  # fmt: skip
    found = evaluator(model, tmp_path)
    binary = {query: dict.fromkeys(ids, 1) for query, ids in relevant.items()}
    expected = means(measured(rankings(model, sample), binary))
    expected["map@1000"] = expected.pop("map")
    for name, value in expected.items():
        assert found[f"cosine_{name}"] == pytest.approx(value, abs=1e-12), name
    assert evaluator.primary_metric == "cosine_ndcg@10"
    text = (tmp_path / "Information-Retrieval_evaluation_results.csv").read_bytes()
    assert text.startswith(b"epoch,steps,cosine-Accuracy@1,cosine-Accuracy@3,cosine-Accuracy@5,")
    assert text.count(b"\n") == 2


def test_equal_scores_are_ranked_by_the_id():
    texts = {3: "one", 1: "one", 2: "zero", 4: "one"}
    for size in (1, 2, 9):
        evaluator = InformationRetrievalEvaluator(
            {"q": "two"}, texts, {"q": {3}}, corpus_chunk_size=size, accuracy_at_k=[1, 2],
            mrr_at_k=[3], ndcg_at_k=[1, 2], precision_recall_at_k=[3], map_at_k=[4],
        )  # fmt: skip
        found = evaluator(Table())
        assert (found["dot_accuracy@1"], found["dot_accuracy@2"]) == (0, 1)
        assert found["dot_mrr@3"] == found["dot_map@4"] == 1 / 2
        assert (found["dot_precision@3"], found["dot_recall@3"]) == (1 / 3, 1)


def test_given_vectors_of_a_corpus_are_in_its_order():
    texts = {3: "three", 1: "one", 2: "zero"}
    evaluator = InformationRetrievalEvaluator({"q": "two"}, texts, {"q": {3}}, accuracy_at_k=[1])
    vectors = Table().encode(list(texts.values()))
    assert evaluator(Table(), corpus_embeddings=vectors)["dot_accuracy@1"] == 1
    assert evaluator(Table(), corpus_embeddings=vectors[::-1])["dot_accuracy@1"] == 0


def test_reranking_averages_over_samples(tmp_path):
    samples = [
        {"query": "one", "positive": "two", "negative": ["three", "zero"]},  # second of three
        {"query": "one", "positive": ["three", "zero"], "negative": "minus"},  # all before
        {"query": "one", "positive": [], "negative": ["zero"]},  # left out
    ]
    for is_batched in (True, False):
        evaluator = RerankingEvaluator(
            samples, at_k=1, similarity_fct="dot", use_batched_encoding=is_batched, name="n"
        )
        found = evaluator(Table(), tmp_path)
        assert found == {"n_map": 3 / 4, "n_mrr@1": 1 / 2, "n_ndcg@1": 1 / 2}
    header, *lines = rows_of(tmp_path / "RerankingEvaluator_n_results_@1.csv")
    assert header == ["epoch", "steps", "MAP", "MRR@1", "NDCG@1"]
    assert len(lines) == 2


def test_paraphrases_are_compared_with_known_pairs():
    texts = {"a": "one", "b": "two", "c": "three", "d": "minus"}
    known = [("a", "b"), ("c", "b"), ("a", "x")]
    evaluator = ParaphraseMiningEvaluator(texts, known)
    assert evaluator.total_num_duplicates == 2
    found = evaluator(Table())  # cosines: b-c 0.99, a-b 0.95, a-c 0.89, ...
    assert found["average_precision"] == found["f1"] == 1
    middle = (3 / np.sqrt(10) + 4 / np.sqrt(20)) / 2
    assert found["threshold"] == pytest.approx(middle, abs=1e-6)
    closed = ParaphraseMiningEvaluator(texts, known, add_transitive_closure=True)
    assert closed.total_num_duplicates == 3
    by_dict = ParaphraseMiningEvaluator(texts, duplicates_dict={"a": {"b": True, "c": False}})
    assert by_dict.total_num_duplicates == 1


def test_a_student_is_compared_with_its_teacher(tmp_path):
    evaluator = MSEEvaluator(["zero", "one"], ["two", "one"], Table())
    assert evaluator(Table(), tmp_path) == {"negative_mse": -100.0}  # (4 + 0 + 0 + 0) / 4
    assert (tmp_path / "mse_evaluation__results.csv").exists()
    rows = [{"en": "zero", "de": "one", "fr": "two"}, {"en": "one", "de": "one", "fr": " "}]
    pairs = [("en", "de"), ("en", "fr")]
    evaluator = MSEEvaluatorFromDataFrame(rows, Table(), pairs)
    assert evaluator(Table(), tmp_path) == {"negative_mse": -(25 + 200) / 2}
    assert rows_of(tmp_path / "mse_evaluation_results.csv") == [
        ["epoch", "steps", "en-de", "en-fr"],
        ["-1", "-1", "25.0", "200.0"],
    ]


def test_translations_are_the_closest_texts(capsys):
    evaluator = TranslationEvaluator(
        ["zero", "three", "minus"], ["zero", "two", "one"], print_wrong_matches=True
    )
    found = evaluator(Table())
    assert found == {
        **{"src2trg_accuracy": 2 / 3, "trg2src_accuracy": 2 / 3, "mean_accuracy": 2 / 3}
    }
    assert "Source 2 is most similar to target 0 instead of target 2" in capsys.readouterr().out


def test_a_cross_encoder_tells_classes(tmp_path):
    pairs = list(zip(FIRST, SECOND, strict=True))
    evaluator = CrossEncoderClassificationEvaluator(pairs, [0, 1, 1, 1])
    found = evaluator(Table())
    assert (found["accuracy"], found["accuracy_threshold"]) == (3 / 4, 2.5)
    assert found["average_precision"] == pytest.approx(1 / 3 + 1 / 3 + 3 / 4 / 3)
    # Scores 1 4 1 7: classes 1 1 1 2.
    evaluator = CrossEncoderClassificationEvaluator(pairs, [1, 0, 1, 2], name="nli")
    found = evaluator(Table(num_labels=3), tmp_path)
    assert found["nli_f1_macro"] == pytest.approx((4 / 5 + 0 + 1) / 3)
    assert found["nli_f1_micro"] == 3 / 4
    header, _ = rows_of(tmp_path / "CrossEncoderClassificationEvaluator_nli_results.csv")
    assert header == ["epoch", "steps", "Macro_F1", "Micro_F1", "Weighted_F1"]


def test_a_cross_encoder_s_scores_are_correlated():
    examples = [
        InputExample(texts=[one, other], label=label)
        for one, other, label in zip(FIRST, SECOND, [1, 2, 3, 4], strict=True)
    ]
    found = CrossEncoderCorrelationEvaluator.from_input_examples(examples)(Table())
    assert found["pearson"] == pytest.approx(np.corrcoef([1, 2, 3, 4], [1, 4, 1, 7])[0, 1])


def test_a_cross_encoder_reranks_what_was_found():
    ranked = {"query": "one", "positive": ["three", "one"], "documents": ["minus", "three"]}
    found = CrossEncoderRerankingEvaluator([ranked], at_k=1)(Table())
    assert found["map"] == found["mrr@1"] == 1
    assert found["base_mrr@1"] == 0
    assert found["base_map"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    # "one" is not among the documents, and so is missed by both.
    only = CrossEncoderRerankingEvaluator([ranked], always_rerank_positives=False)
    table = Table()
    assert only(table)["map"] == 1
    assert table.asked[0][0] == [("one", "minus"), ("one", "three")]


def test_a_sequence_has_all_measures_and_the_last_score():
    parts = [EmbeddingSimilarityEvaluator(FIRST, SECOND, [1, 2, 3, 4]), lambda *_: 0.25]
    evaluator = SequentialEvaluator(parts)
    found = evaluator(Table())
    assert list(found) == ["pearson_dot", "spearman_dot", "evaluator_1", "sequential_score"]
    assert found[evaluator.primary_metric] == 0.25
    summed = SequentialEvaluator(parts, main_score_function=sum)(Table())
    assert summed["sequential_score"] == found["spearman_dot"] + 0.25
    assert SequentialEvaluator([])(Table()) == {"sequential_score": 0}


@pytest.fixture(scope="module")
def nano(tmp_path_factory):
    """A local data set with the collection NQ."""
    folder = tmp_path_factory.mktemp("nano")
    tables = {
        "corpus": [{"_id": name, "text": name} for name in VECTORS] + [{"_id": "x", "text": ""}],
        "queries": [{"_id": "q", "text": "one"}],
        "qrels": [{"query-id": "q", "corpus-id": "two"}],
        "bm25": [{"query-id": "q", "corpus-ids": ["zero", "two", "three"]}],
    }
    for name, rows in tables.items():
        (folder / name).mkdir()
        table = pyarrow.Table.from_pylist(rows)
        pyarrow.parquet.write_table(table, folder / name / "NanoNQ-00000-of-00001.parquet")
    return folder


def test_nano_beir_reads_a_local_folder(nano, tmp_path):
    evaluator = NanoBEIREvaluator(["NQ"], str(nano))
    found = evaluator(Table(), tmp_path)
    assert found["NanoNQ_dot_mrr@10"] == found["NanoBEIR_mean_dot_mrr@10"] == 1 / 2
    assert evaluator.primary_metric == "NanoBEIR_mean_dot_ndcg@10"
    pairs = CrossEncoderNanoBEIREvaluator(["nq"], str(nano), rerank_k=2)
    assert pairs(Table(), tmp_path)["NanoBEIR_R2_mean_map"] == 1
    assert len(list(tmp_path.iterdir())) == 3


def test_nano_beir_names_what_cannot_be_read(nano, tmp_path):
    with pytest.raises(ValueError, match=r"has no file corpus/NanoMSMARCO-|queries/NanoMSMARCO-"):
        NanoBEIREvaluator(["msmarco"], str(nano))
    with pytest.raises(ValueError, match=r"dataset_names is .'other'.; expected None for all"):
        NanoBEIREvaluator(["other"], str(nano))
    with pytest.raises(ValueError, match="query_prompts has no prompt for nq"):
        NanoBEIREvaluator(["nq"], str(nano), query_prompts={})


def test_measures_are_logged_in_a_line(caplog):
    with caplog.at_level(logging.INFO):
        TripletEvaluator(["one"], ["three"], ["two"], name="n")(Table(), None, 2, 30)
    assert "TripletEvaluator n, epoch 2, step 30: dot_accuracy 1.0000" in caplog.text


def test_write_csv_false_writes_no_file(tmp_path):
    TripletEvaluator(["one"], ["three"], ["two"], write_csv=False)(Table(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_program_s_own_evaluator_has_the_frame():
    class Own(SentenceEvaluator):
        def __init__(self):
            super().__init__()
            self.primary_metric = "length"

        def __call__(self, model, output_path=None, epoch=-1, steps=-1):
            metrics = self.prefix_name_to_metrics({"length": 3, "told": "x"}, "own")
            self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
            return metrics

    own = Own()
    assert own(Table()) == {"own_length": 3.0, "own_told": "x"}
    assert (own.primary_metric, own.greater_is_better, own.description) == (
        "own_length",
        True,
        "Own",
    )
    with pytest.raises(NotImplementedError, match="defines no __call__"):
        SentenceEvaluator()(Table())


def test_an_evaluator_tells_the_better_model_in_training(folder, tmp_path):
    model = SentenceTransformer(folder)
    examples = [InputExample(texts=["the cat", "a dog"], label=0.3)] * 4
    evaluator = TripletEvaluator(["the cat"], ["the cat sat"], ["London"], name="x")
    results = []
    model.fit(
        [(DataLoader(examples, batch_size=2), losses.CosineSimilarityLoss(model))],
        evaluator, evaluation_steps=1, warmup_steps=0, output_path=tmp_path / "out",
        show_progress_bar=False, callback=lambda *found: results.append(found),
    )  # fmt: skip
    assert [found[1:] for found in results] == [(0, 1), (0, -1)]
    assert results[-1][0] == model.evaluate(evaluator)
    (path,) = (tmp_path / "out").rglob("triplet_evaluation_x_results.csv")
    assert [row[:2] for row in rows_of(path)[1:]] == [["0", "1"], ["0", "-1"]]


def test_older_names_are_the_classes_that_replaced_them():
    assert evaluation.CERerankingEvaluator is CrossEncoderRerankingEvaluator
    assert evaluation.BaseEvaluator is SentenceEvaluator
    for name in evaluation.OLDER_NAMES:
        assert issubclass(getattr(evaluation, name), SentenceEvaluator)


PAIR = (["one"], ["two"])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EmbeddingSimilarityEvaluator(*PAIR, [1, 2]), ValueError, "scores has 2 items"),
        (lambda: BinaryClassificationEvaluator([], [], []), ValueError, "at least one item"),
        (lambda: BinaryClassificationEvaluator(*PAIR, [2]), ValueError, "is 2; expected 0 or 1"),
        (
            lambda: TripletEvaluator(*PAIR, ["x"], similarity_fn_names=["cos"]),
            ValueError,
            "similarity_fn_names is 'cos'; expected one of cosine, dot",
        ),
        (lambda: TripletEvaluator(*PAIR, ["x"], margin={"l2": 1}), ValueError, "margin is 'l2'"),
        (lambda: TripletEvaluator(*PAIR, ["x"], margin="far"), ValueError, "margin is 'far'"),
        (
            lambda: InformationRetrievalEvaluator({"q": "x"}, {"d": "y"}, {}),
            ValueError,
            "There are 1 documents, and 0 queries with a relevant document",
        ),
        (
            lambda: InformationRetrievalEvaluator({1: "x", "b": "x"}, {1: "y", "a": "z"}, {1: [1]}),
            TypeError,
            "of the types int and str, which have no order; give all of them one type",
        ),
        (lambda: RerankingEvaluator([]), ValueError, "No sample has both"),
        (lambda: CrossEncoderRerankingEvaluator([]), ValueError, "There are no samples"),
        (lambda: CrossEncoderRerankingEvaluator([{"query": "x"}]), ValueError, "has the keys"),
        (lambda: MSEEvaluator(*PAIR), TypeError, "teacher_model is None; expected a Sentence"),
        (
            lambda: MSEEvaluatorFromDataFrame([{"a": "x", "b": ""}], Table(), [("a", "b")]),
            ValueError,
            "No row of the data has a text in 'a' and in 'b'",
        ),
        (lambda: LabelAccuracyEvaluator(None), NotImplementedError, "softmax_model of torch"),
    ],
)
def test_bad_input_is_refused_with_what_was_expected(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_arguments_of_older_releases_are_named(caplog):
    CrossEncoderClassificationEvaluator([("a", "b")], [1], threshold=0.5)
    assert "threshold: without effect" in caplog.text
    assert (
        RerankingEvaluator(
            [{"query": "a", "positive": "b", "negative": "c"}], mrr_at_k=3
        ).primary_metric
        == "ndcg@3"
    )
    assert "mrr_at_k is an older name" in caplog.text

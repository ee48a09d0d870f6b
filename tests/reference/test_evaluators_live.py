"""Evaluators against sentence-transformers' own: measures, primary one, files.

Most of them see the same vectors, bit by bit: no threshold, tie or code of int8 can then differ by
the rounding of a forward pass. Each is called on both libraries' own models, too.
"""

import csv
import inspect
import json
import math
import zlib

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import sentence_transformers
import torch
from golden_files import GOLDEN, copy_of, edit_json, one_label_copy
from sentence_transformers import util as their_util
from sentence_transformers.cross_encoder import evaluation as their_pairs
from sentence_transformers.sentence_transformer import evaluation as theirs

import minibert
from minibert import InputExample, evaluation, util
from minibert.evaluation import SAMPLE, read_collection

NEAR = {"rel": 1e-6, "abs": 1e-6}
METRICS = ["cosine", "dot", "euclidean", "manhattan"]
FIRST = [
    "A man is eating food.", "The girl is carrying a baby.", "A man is riding a horse.",
    "A woman is playing violin.", "A monkey is playing drums.", "A cheetah chases its prey.",
    "The sea is calm today.", "Bread needs flour and water.", "A man is eating food.",
    "The train was late.",
]  # fmt: skip
SECOND = [
    "A man is eating a piece of bread.", "Two children play outside.", "Somebody rides a horse.",
    "A cheetah is running.", "Someone is playing a set of drums.", "A man sleeps.",
    "The ocean has no waves.", "Yeast makes dough rise.", "A man is eating a piece of bread.",
    "The train arrived an hour behind schedule.",
]  # fmt: skip
SCORES = [4.1, 0.3, 4.5, 0.1, 3.9, 0.4, 4.2, 2.0, 4.1, 3.1]
LABELS = [1, 0, 1, 0, 1, 0, 1, 0, 1, 1]
NEGATIVES = [*SECOND[3:], *SECOND[:3]]
COLLECTION = read_collection(SAMPLE)
RELEVANT = {
    query: {id for id, grade in grades.items() if grade > 0}
    for query, grades in COLLECTION.qrels.items()
}
QUERIES = {**COLLECTION.queries, "unjudged": "anything at all"}
TEXTS = dict(zip("abcdefghijklmnopqrst", FIRST + SECOND, strict=True))
DUPLICATES = [("a", "k"), ("a", "i"), ("c", "m"), ("e", "o"), ("g", "q"), ("a", "nowhere")]
SAMPLES = [
    {"query": first, "positive": second, "negative": [*NEGATIVES[:4], first.upper(), second + "!"]}
    for first, second in zip(FIRST, SECOND, strict=True)
] + [{"query": "nothing", "positive": [], "negative": ["x"]}]
RANKED = [
    {"query": first, "positive": [second, "a text that was not found"], "documents": documents}
    for first, second, documents in zip(
        FIRST, SECOND, [FIRST[1:4] + [s] + FIRST[5:] for s in SECOND], strict=True
    )
] + [{"query": "nothing", "positive": ["y"], "documents": ["x", "z"]}]
NLI = [0, 2, 1, 0, 2, 2, 1, 0, 0, 1]


class Card:
    """What their evaluators expect of a model's card."""

    def set_evaluation_metrics(self, *_):
        pass


class Table:
    """A model with given vectors of each text, so that both sides see the same numbers.

    With `whole`, vectors are whole numbers: products are exact, and many scores are equal.
    """

    model_card_data = Card()

    def __init__(self, metric="cosine", whole=False, shift=0):
        self.similarity_fn_name, self.whole, self.shift = metric, whole, shift

    def encode(
        self, sentences, prompt_name=None, prompt=None, truncate_dim=None, precision=None,
        normalize_embeddings=False, convert_to_numpy=True, convert_to_tensor=False, **_,
    ):  # fmt: skip
        prefix = prompt if prompt is not None else prompt_name or ""
        rows = []
        for text in sentences:
            generator = np.random.default_rng(zlib.crc32((prefix + text).encode()) + self.shift)
            rows.append(
                generator.integers(-2, 3, 8) if self.whole else generator.normal(0.3, size=8)
            )
        vectors = np.array(rows, dtype=np.float32).reshape(-1, 8)[:, :truncate_dim]
        if normalize_embeddings:
            vectors = util.normalize_embeddings(vectors)
        if precision not in (None, "float32"):
            return their_util.quantize_embeddings(vectors, precision)
        if convert_to_tensor:
            return torch.from_numpy(vectors)
        return vectors if convert_to_numpy else list(torch.from_numpy(vectors))

    def encode_query(self, sentences, prompt_name=None, prompt=None, **options):
        return self.encode(sentences, prompt_name or "query", prompt, **options)

    def encode_document(self, sentences, prompt_name=None, prompt=None, **options):
        return self.encode(sentences, prompt_name or "", prompt, **options)

    @property
    def similarity(self):
        return {"cosine": their_util.cos_sim, "dot": their_util.dot_score}[self.similarity_fn_name]

    def eval(self):
        return self


class Scores:
    """A cross-encoder with given scores of each pair: whole numbers, many of them equal, or not."""

    model_card_data = Card()

    def __init__(self, num_labels=1, whole=False):
        self.num_labels, self.whole = num_labels, whole

    def predict(self, pairs, prompt_name=None, **_):
        rows = []
        for first, second in pairs:
            seed = zlib.crc32(f"{prompt_name}|{first}|{second}".encode())
            generator = np.random.default_rng(seed)
            size = self.num_labels
            rows.append(generator.integers(0, 3, size) if self.whole else generator.random(size))
        scores = np.array(rows, dtype=np.float32)
        return scores[:, 0] if self.num_labels == 1 else scores


COSINES, PRODUCTS = (Table(),) * 2, (Table("dot", whole=True),) * 2


@pytest.fixture(scope="module")
def both_minilms(minilm_folder):
    return both(
        sentence_transformers.SentenceTransformer, minibert.SentenceTransformer, minilm_folder
    )


@pytest.fixture(scope="module")
def both_dots(tmp_path_factory):
    """A small model with another metric and prompts that change its vectors."""
    folder = copy_of("gelu", tmp_path_factory.mktemp("dot"))
    prompts = {"query": "the cat ", "document": "the dog ", "ask": "London "}
    path = folder / "config_sentence_transformers.json"
    edit_json(path, similarity_fn_name="dot", prompts=prompts)
    return both(sentence_transformers.SentenceTransformer, minibert.SentenceTransformer, folder)


def both(their_class, our_class, folder):
    return their_class(str(folder), device="cpu"), our_class(folder, on_long="ignore")


def classes_of(name):
    """Their class and ours of a name."""
    there = theirs if hasattr(theirs, name) else their_pairs
    return getattr(there, name), getattr(evaluation, name)


def read_lines(folder):
    """The files of a folder: name -> text of the first line, and the others as numbers."""
    found = {}
    for path in sorted(folder.glob("*.csv")):
        text = path.read_bytes().decode()
        end = "\r\n" if "\r\n" in text else "\n"
        head, *rows = text.removesuffix(end).split(end)
        found[path.name] = head, end, [list(map(float, row)) for row in csv.reader(rows)]
    return found


def check_equal(name, models, tmp_path, arguments, our_arguments=None):
    """Call both evaluators twice, outside a training and in one; compare all that they give."""
    outcomes = []
    for number, (kind, model) in enumerate(zip(classes_of(name), models, strict=True)):
        given = our_arguments if number and our_arguments else arguments
        evaluator, folder = kind(**given), tmp_path / str(number)
        evaluator(model)
        results = evaluator(model, str(folder), 1, -1), evaluator(model, str(folder), 2, 30)
        said = evaluator.primary_metric, evaluator.description, evaluator.csv_file
        settings = evaluator.get_config_dict()
        outcomes.append((results, said, settings, folder))
    (expected, *of_theirs, their_folder), (found, *of_ours, our_folder) = outcomes
    assert of_ours == of_theirs
    for our_result, their_result in zip(found, expected, strict=True):
        assert list(our_result) == list(their_result)
        assert our_result == pytest.approx(their_result, **NEAR)
        assert {type(value) for value in our_result.values()} == {float}
        assert not any(map(math.isnan, our_result.values()))
    files, expected_files = read_lines(our_folder), read_lines(their_folder)
    assert list(files) == list(expected_files) != []
    for file, (head, end, rows) in expected_files.items():
        assert files[file][:2] == (head, end)
        assert len(rows) == 2
        np.testing.assert_allclose(files[file][2], rows, rtol=1e-6, atol=1e-6)
    return found[0]


SIMILAR = {"sentences1": FIRST, "sentences2": SECOND, "scores": SCORES}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"name": "sts", "batch_size": 3},
        {"similarity_fn_names": METRICS},
        {"similarity_fn_names": ["manhattan", "dot"], "main_similarity": "dot", "name": "x_y"},
        {"main_similarity": "euclidean", "truncate_dim": 7},
        {"precision": "int8"},
        {"precision": "uint8", "similarity_fn_names": METRICS},
        {"precision": "binary"},
        {"precision": "ubinary", "name": "bits"},
    ],
)
def test_embedding_similarity(tmp_path, more):
    check_equal("EmbeddingSimilarityEvaluator", COSINES, tmp_path, {**SIMILAR, **more})


BINARY = {"sentences1": FIRST, "sentences2": SECOND, "labels": LABELS}


@pytest.mark.parametrize("models", [COSINES, PRODUCTS])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"name": "pairs", "truncate_dim": 5},
        {"similarity_fn_names": METRICS},
        {"labels": [1 - label for label in LABELS]},
        {"labels": [0] * 9 + [1], "similarity_fn_names": ["euclidean"]},
        {"labels": [1] * 10},
    ],
)
def test_binary_classification(models, tmp_path, more):
    check_equal("BinaryClassificationEvaluator", models, tmp_path, {**BINARY, **more})


TRIPLETS = {"anchors": FIRST, "positives": SECOND, "negatives": NEGATIVES}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"name": "nli", "main_similarity_function": "dot"},
        {"similarity_fn_names": METRICS, "margin": {"cosine": 0.4, "manhattan": 2.0}},
        {"margin": 0.3, "truncate_dim": 5},
    ],
)
@pytest.mark.parametrize("models", [COSINES, PRODUCTS])
def test_triplets(models, tmp_path, more):
    check_equal("TripletEvaluator", models, tmp_path, {**TRIPLETS, **more})


RETRIEVAL = {"queries": QUERIES, "corpus": COLLECTION.documents, "relevant_docs": RELEVANT}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"name": "sample", "corpus_chunk_size": 40, "batch_size": 7},
        {"mrr_at_k": [3, 200], "ndcg_at_k": [5, 1], "accuracy_at_k": [2], "map_at_k": [7, 150],
         "precision_recall_at_k": [4, 100], "truncate_dim": 6},
        {"query_prompt_name": "ask", "corpus_prompt": "the cat barks "},
        {"query_prompt": "a cat barks ", "main_score_function": "dot"},
    ],
)  # fmt: skip
def test_information_retrieval_with_many_equal_scores(tmp_path, more):
    check_equal("InformationRetrievalEvaluator", PRODUCTS, tmp_path, {**RETRIEVAL, **more})


def test_information_retrieval_by_several_functions(tmp_path):
    more = [
        {"cosine": module.cos_sim, "dot": module.dot_score, "far": module.euclidean_sim}
        for module in (their_util, util)
    ]
    given = [{**RETRIEVAL, "score_functions": functions} for functions in more]
    check_equal("InformationRetrievalEvaluator", COSINES, tmp_path, *given)


def test_predictions_are_the_same_documents(tmp_path):
    lines = []
    for kind, model in zip(classes_of("InformationRetrievalEvaluator"), PRODUCTS, strict=True):
        folder = tmp_path / kind.__module__
        kind(**RETRIEVAL, name="n", write_predictions=True, map_at_k=[8], mrr_at_k=[8])(
            model, folder
        )
        (path,) = folder.glob("*.jsonl")
        lines.append((path.name, [json.loads(line) for line in path.read_text().splitlines()]))
    (name, expected), (our_name, found) = lines
    assert our_name == name
    assert len(found) == len(RELEVANT)
    for line, their_line in zip(found, expected, strict=True):
        assert {**line, "results": None} == {**their_line, "results": None}
        assert len(line["results"]) == 10
        for hit, their_hit in zip(line["results"], their_line["results"], strict=True):
            assert hit["corpus_id"] == their_hit["corpus_id"]
            assert hit["score"] == pytest.approx(their_hit["score"], abs=1e-6)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"at_k": 3, "name": "first", "use_batched_encoding": False},
        {"mrr_at_k": 2, "truncate_dim": 4},
        {"samples": dict(enumerate(SAMPLES))},
    ],
)
def test_reranking(tmp_path, more):
    check_equal("RerankingEvaluator", COSINES, tmp_path, {"samples": SAMPLES, **more})


@pytest.mark.parametrize("is_batched", [True, False])
def test_reranking_with_many_equal_scores(tmp_path, is_batched):
    given = [
        {
            "samples": SAMPLES,
            "similarity_fct": module.dot_score,
            "use_batched_encoding": is_batched,
        }
        for module in (their_util, util)
    ]
    check_equal("RerankingEvaluator", PRODUCTS, tmp_path, *given)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"name": "quora", "top_k": 2, "max_pairs": 12},
        {"add_transitive_closure": True, "truncate_dim": 6},
        {"duplicates_list": None, "duplicates_dict": "dict"},
        {"duplicates_list": []},
    ],
)
def test_paraphrase_mining(tmp_path, more):
    given = {"sentences_map": TEXTS, "duplicates_list": DUPLICATES, **more}
    if more.get("duplicates_dict"):
        pairs = [(id, other) for id in TEXTS for other in TEXTS]
        known = {*DUPLICATES, *((b, a) for a, b in DUPLICATES)}
        given["duplicates_dict"] = {id: {} for id in TEXTS}
        for one, other in pairs:
            given["duplicates_dict"][one][other] = (one, other) in known
    check_equal("ParaphraseMiningEvaluator", COSINES, tmp_path, given)


@pytest.mark.parametrize("more", [{}, {"name": "student", "truncate_dim": 5, "batch_size": 2}])
def test_the_error_of_a_student(tmp_path, more):
    texts = {"source_sentences": FIRST, "target_sentences": SECOND}
    given = {**texts, "teacher_model": Table(shift=1), **more}
    check_equal("MSEEvaluator", COSINES, tmp_path, given)


@pytest.mark.parametrize("more", [{}, {"name": "languages", "truncate_dim": 6}])
def test_the_error_of_a_student_of_languages(tmp_path, more):
    rows = [
        {"en": first, "de": second, "fr": " " if n % 3 else first + second}
        for n, (first, second) in enumerate(zip(FIRST, SECOND, strict=True))
    ]
    pairs = [("en", "de"), ("en", "fr")]
    given = {"dataframe": rows, "teacher_model": Table(shift=1), "combinations": pairs, **more}
    check_equal("MSEEvaluatorFromDataFrame", COSINES, tmp_path, given)


@pytest.mark.parametrize("more", [{}, {"name": "en-de", "print_wrong_matches": True}])
def test_translations(tmp_path, capsys, more):
    given = {"source_sentences": FIRST, "target_sentences": SECOND, **more}
    check_equal("TranslationEvaluator", COSINES, tmp_path, given)
    printed = capsys.readouterr().out
    assert printed[: len(printed) // 2] == printed[len(printed) // 2 :]
    assert ("instead of target" in printed) == bool(more)


def test_a_sequence_of_evaluators():
    outcomes = []
    for module, model in zip((theirs, evaluation), COSINES, strict=True):
        parts = [
            module.EmbeddingSimilarityEvaluator(**SIMILAR, name="sts"),
            lambda *_: 0.25,
            module.TripletEvaluator(FIRST, SECOND, NEGATIVES),
        ]
        for function in (None, sum):
            more = {"main_score_function": function} if function else {}
            evaluator = module.SequentialEvaluator(parts, **more)
            outcomes.append((evaluator(model), evaluator.primary_metric))
    for (expected, primary), (found, our_primary) in zip(outcomes[:2], outcomes[2:], strict=True):
        assert list(found) == list(expected)
        assert found == pytest.approx(expected, **NEAR)
        assert our_primary == primary == "sequential_score"


PAIRS = list(zip(FIRST, SECOND, strict=True))


@pytest.mark.parametrize("more", [{}, {"name": "nli", "prompt_name": "ask"}])
@pytest.mark.parametrize(
    ("labels", "model"),
    [(LABELS, Scores()), (LABELS, Scores(whole=True)), (NLI, Scores(3)), (NLI, Scores(5))],
)
def test_classes_of_a_cross_encoder(tmp_path, labels, model, more):
    given = {"sentence_pairs": PAIRS, "labels": labels, **more}
    check_equal("CrossEncoderClassificationEvaluator", (model,) * 2, tmp_path, given)


@pytest.mark.parametrize("model", [Scores(), Scores(whole=True)])
def test_correlations_of_a_cross_encoder(tmp_path, model):
    given = {"sentence_pairs": PAIRS, "scores": SCORES, "name": "sts"}
    check_equal("CrossEncoderCorrelationEvaluator", (model,) * 2, tmp_path, given)


OF_LISTS = [{**s, "positive": [s["positive"]]} for s in SAMPLES if isinstance(s["positive"], str)]
# A document that is relevant and not: its two scores are equal, and numpy.argsort, as they call it,
# takes any of equals first.
OF_LISTS = [
    {**s, "negative": [text for text in s["negative"] if text not in s["positive"]]}
    for s in OF_LISTS
]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"samples": RANKED},
        {"samples": RANKED, "always_rerank_positives": False, "name": "ranked", "at_k": 4},
        {"mrr_at_k": 2, "prompt_name": "ask"},
    ],
)
def test_reranking_by_a_cross_encoder(tmp_path, more):
    given = {"samples": OF_LISTS, **more}
    check_equal("CrossEncoderRerankingEvaluator", (Scores(),) * 2, tmp_path, given)


# No two pairs have equal texts, so rounding decides nothing.
DIFFERENT = {"sentences1": FIRST[:8], "sentences2": SECOND[:8]}
OF_A_MODEL = {
    "BinaryClassificationEvaluator": {**DIFFERENT, "labels": LABELS[:8]},
    "EmbeddingSimilarityEvaluator": {**DIFFERENT, "scores": SCORES[:8]},
    "InformationRetrievalEvaluator": {
        **RETRIEVAL,
        "queries": dict(list(QUERIES.items())[:6]),
        "corpus": dict(list(COLLECTION.documents.items())[:30]),
    },
    "ParaphraseMiningEvaluator": {
        "sentences_map": dict(list(TEXTS.items())[:8]), "duplicates_list": [("a", "c"), ("b", "d")],
    },
    "RerankingEvaluator": {
        "samples": [
            {"query": FIRST[n], "positive": SECOND[n], "negative": SECOND[:n] + SECOND[n + 1 : 8]}
            for n in range(8)
        ],
    },
    "TranslationEvaluator": {"source_sentences": FIRST[:8], "target_sentences": SECOND[:8]},
    "TripletEvaluator": {name: texts[:8] for name, texts in TRIPLETS.items()},
}  # fmt: skip


@pytest.mark.parametrize("name", OF_A_MODEL)
@pytest.mark.parametrize("models", ["both_minilms", "both_dots"])
def test_measures_of_both_libraries_models(name, models, request, tmp_path):
    check_equal(name, request.getfixturevalue(models), tmp_path, OF_A_MODEL[name])


def test_the_error_of_both_libraries_models(both_minilms, tmp_path):
    texts = {"source_sentences": FIRST, "target_sentences": SECOND}
    given = [{**texts, "teacher_model": model} for model in both_minilms]
    check_equal("MSEEvaluator", both_minilms, tmp_path, *given)


@pytest.mark.parametrize("labels", [1, 3])
def test_measures_of_both_libraries_cross_encoders(labels, tmp_path):
    folder = one_label_copy(tmp_path) if labels == 1 else GOLDEN / "cross_encoder"
    models = both(sentence_transformers.CrossEncoder, minibert.CrossEncoder, folder)
    given = {"sentence_pairs": PAIRS[:8], "labels": (LABELS if labels == 1 else NLI)[:8]}
    check_equal("CrossEncoderClassificationEvaluator", models, tmp_path / "a", given)
    if labels == 1:
        given = {"sentence_pairs": PAIRS[:8], "scores": SCORES[:8]}
        check_equal("CrossEncoderCorrelationEvaluator", models, tmp_path / "b", given)


def write_rows(folder, subset, name, rows):
    path = folder / subset / f"Nano{name}-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


@pytest.fixture(scope="module")
def nano_folder(tmp_path_factory):
    """A data set in the layout of NanoBEIR, with two collections made of the sample."""
    folder = tmp_path_factory.mktemp("nano")
    documents = [{"_id": id, "text": text} for id, text in COLLECTION.documents.items()]
    ids = list(COLLECTION.queries)
    for name, some in (("MSMARCO", ids[:20]), ("NQ", ids[20:])):
        write_rows(folder, "corpus", name, [*documents, {"_id": "empty", "text": ""}])
        queries = [{"_id": id, "text": COLLECTION.queries[id]} for id in some]
        write_rows(folder, "queries", name, queries)
        pairs = [
            {"query-id": id, "corpus-id": document}
            for id in some
            for document in sorted(RELEVANT[id])
        ]
        write_rows(folder, "qrels", name, pairs)
        generator = np.random.default_rng(len(some))
        found = [
            {"query-id": id, "corpus-ids": [documents[n]["_id"] for n in generator.permutation(40)]}
            for id in some
        ]
        write_rows(folder, "bm25", name, found)
    files = [
        {"config_name": subset, "data_files": [
            {"split": f"Nano{name}", "path": f"{subset}/Nano{name}-*.parquet"}
            for name in ("MSMARCO", "NQ")]}
        for subset in ("corpus", "queries", "qrels", "bm25")
    ]  # fmt: skip
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(files)}\n---\n")
    return folder


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"truncate_dim": 5, "aggregate_fn": max, "aggregate_key": "highest"},
        {"query_prompts": "the dog ", "corpus_prompts": {"msmarco": "a ", "NQ": "b "}},
        {"dataset_names": ["nq"], "main_score_function": "dot", "write_csv": True},
    ],
)
def test_nano_beir(nano_folder, tmp_path, monkeypatch, more):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    given = {"dataset_names": ["msmarco", "NQ"], "dataset_id": str(nano_folder), **more}
    check_equal("NanoBEIREvaluator", PRODUCTS, tmp_path, given)


def test_nano_beir_of_a_cross_encoder(nano_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    given = {"dataset_names": ["msmarco", "nq"], "dataset_id": str(nano_folder), "rerank_k": 30}
    check_equal("CrossEncoderNanoBEIREvaluator", (Scores(),) * 2, tmp_path, given)


EXAMPLES = [
    InputExample(texts=[a, b, c], label=label)
    for a, b, c, label in zip(FIRST, SECOND, NEGATIVES, LABELS, strict=True)
]


@pytest.mark.parametrize(
    "name",
    ["BinaryClassificationEvaluator", "EmbeddingSimilarityEvaluator", "TripletEvaluator"],
)
def test_input_examples_are_taken(name):
    their_class, our_class = classes_of(name)
    expected = their_class.from_input_examples(EXAMPLES, name="x")(Table())
    found = our_class.from_input_examples(EXAMPLES, name="x")(Table())
    assert found == pytest.approx(expected, **NEAR)


NAMES = sorted(
    name
    for name in (*theirs.__all__, *their_pairs.__all__)
    if name not in ("SimilarityFunction", "LabelAccuracyEvaluator")
)


@pytest.mark.parametrize("name", NAMES)
def test_constructors_have_the_reference_s_arguments(name):
    expected, found = (inspect.signature(kind.__init__).parameters for kind in classes_of(name))
    assert [one.name for one in found.values() if one.kind is not one.VAR_KEYWORD] == [
        one.name for one in expected.values() if one.kind is not one.VAR_KEYWORD
    ]
    for one, other in zip(found.values(), expected.values(), strict=True):
        default = list(one.default) if isinstance(one.default, tuple) else one.default
        assert one.kind == other.kind
        if not callable(other.default):
            assert default == other.default, one.name


def test_every_name_of_the_reference_is_here():
    names = {*theirs.__all__, *their_pairs.__all__}
    assert names - set(evaluation.__all__) == set()

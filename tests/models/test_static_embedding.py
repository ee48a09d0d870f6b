"""A table of word embeddings in the place of a BERT: vectors, files, commands, and refusals."""

import copy
import json
import pickle
import shutil

import numpy as np
import pytest
from corpora import documents
from golden_files import GOLDEN
from safetensors.numpy import save_file

from minibert import CheckpointError, CrossEncoder, SentenceTransformer
from minibert.corpus import Index, build
from minibert.models import Normalize, StaticEmbedding
from minibert.pooling.registry import MODULES

TYPES = "sentence_transformers.models."
TEXTS = ["the cats sat", "", "a dog", "the dog barks at the cat " * 30, "cat", "the [MASK] cat"]


def write(folder, tensors, *modules):
    """Write a folder: the words of a golden model, a table, and modules after it."""
    folder.mkdir(exist_ok=True)
    shutil.copy(GOLDEN / "gelu" / "tokenizer.json", folder)
    save_file(tensors, folder / "model.safetensors")
    entries = [{"idx": 0, "name": "0", "path": "", "type": TYPES + "StaticEmbedding"}]
    for number, kind in enumerate(modules, start=1):
        entries.append({"idx": number, "name": str(number), "path": f"{number}_{kind}"})
        entries[-1]["type"] = TYPES + kind
    (folder / "modules.json").write_text(json.dumps(entries))
    return folder


def drawn(*shape, seed=3):
    return np.random.default_rng(seed).normal(0.3, 1, shape).astype(np.float32)


@pytest.fixture
def word_rows():
    return drawn(82, 24)


@pytest.fixture
def static_folder(tmp_path, word_rows):
    return write(tmp_path / "static", {"embedding.weight": word_rows})


@pytest.fixture
def static(static_folder):
    return SentenceTransformer(static_folder)


def by_hand(model, table, texts):
    """The mean of each text's rows in float64; zeros without a token."""
    rows = [table[np.array(tokens.ids, int)].astype(np.float64) for tokens in model.tokens(texts)]
    return np.array([row.mean(axis=0) if len(row) else np.zeros(table.shape[1]) for row in rows])


def test_a_vector_is_the_mean_of_its_tokens_rows(static, word_rows):
    vectors = static.encode(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, by_hand(static, word_rows, TEXTS), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(static.encode("cat"), vectors[4])
    assert static.tokens("the cats").tokens == ["the", "cat", "##s"]  # no special tokens
    assert (len(static), type(static[0]).__name__, static.get_embedding_dimension()) == (
        1, "StaticEmbedding", 24,
    )  # fmt: skip


def test_modules_follow_the_mean_as_after_a_pooling(tmp_path, word_rows):
    folder = write(tmp_path / "static", {"embedding.weight": word_rows}, "Normalize")
    model = SentenceTransformer(folder)
    means = by_hand(model, word_rows, TEXTS)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    expected = np.divide(means, lengths, out=np.zeros_like(means), where=lengths > 0)
    np.testing.assert_allclose(model.encode(TEXTS), expected, rtol=0, atol=1e-6)
    assert list(model)[1:] == [Normalize()]


def test_a_prompt_and_the_second_text_of_a_pair_count_as_text(static):
    together = static.encode(["the cat a dog", "the cat"])
    np.testing.assert_array_equal(static.encode([("the cat", "a dog")])[0], together[0])
    np.testing.assert_array_equal(static.encode("cat", prompt="the "), together[1])
    static.prompts["query"] = "the "
    np.testing.assert_array_equal(static.encode_query("cat"), together[1])
    with pytest.raises(ValueError, match="include_prompt is a setting of a Pooling"):
        static.include_prompt = False


@pytest.mark.parametrize("numbers", ["float", "whole"])
def test_a_table_of_model2vec_is_folded(tmp_path, numbers):
    rows = drawn(9, 24) if numbers == "float" else (drawn(9, 24) * 40).astype(np.int8)
    mapping = np.random.default_rng(5).integers(0, 9, 82)
    weights = drawn(82, seed=7)
    tensors = {"embeddings": rows, "mapping": mapping, "weights": weights}
    model = SentenceTransformer(write(tmp_path / "static", tensors))
    expected = by_hand(model, rows[mapping] * weights[:, None].astype(np.float64), TEXTS)
    np.testing.assert_allclose(model.encode(TEXTS), expected, rtol=1e-6, atol=1e-6)


def test_rows_alone_are_a_table_of_model2vec(tmp_path, word_rows, static):
    model = SentenceTransformer(write(tmp_path / "model2vec", {"embeddings": word_rows}))
    np.testing.assert_array_equal(model.encode(TEXTS), static.encode(TEXTS))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"other": drawn(82, 24)}, r"embeddings has the shape \(\); expected 2 sizes"),
        ({"embedding.weight": drawn(82)}, r"embedding.weight has the shape \(82,\); expected 2"),
        ({"embeddings": np.zeros((82, 4), np.int8)}, "embeddings has the type I8; expected F32"),
        (
            {"embeddings": drawn(9, 4), "mapping": np.full(82, 9)},
            "mapping goes from 9 to 9; there are 9 rows",
        ),
        (
            {"embeddings": drawn(9, 4), "mapping": np.full(82, -1)},
            "mapping goes from -1 to -1; there are 9 rows",
        ),
        (
            {"embeddings": drawn(9, 4), "mapping": drawn(82)},
            "mapping is F32 of the shape .*; expected one of I8, U8",
        ),
        ({"embeddings": drawn(9, 4), "weights": drawn(8)}, "weights has the shape"),
        ({"embedding.weight": np.full((82, 4), np.nan, np.float32)}, "holds NaN or infinity"),
    ],
)
def test_tensors_that_are_no_table_are_refused(tmp_path, tensors, message):
    with pytest.raises(CheckpointError, match=message):
        SentenceTransformer(write(tmp_path / "static", tensors))


def test_a_token_without_a_row_is_refused(tmp_path):
    model = SentenceTransformer(write(tmp_path / "static", {"embedding.weight": drawn(6, 4)}))
    with pytest.raises(ValueError, match="A text holds 'cat', the token 6; this model has 6 word"):
        model.encode("the cat")


def test_texts_are_cut_where_tokenizer_json_says_so_alone(static_folder, edit, word_rows):
    with pytest.raises(ValueError, match="max_seq_length is 5; a StaticEmbedding reads whole"):
        SentenceTransformer(static_folder).max_seq_length = 5
    limits = {"max_length": 3, "strategy": "LongestFirst", "stride": 0}
    for direction, kept in (("Right", "the dog barks"), ("Left", "at the cat")):
        edit(static_folder / "tokenizer.json", truncation=limits | {"direction": direction})
        model = SentenceTransformer(static_folder, on_long="ignore")
        found = model.encode([TEXTS[3], kept])
        np.testing.assert_array_equal(found[0], found[1])
        assert model.max_seq_length == 3


@pytest.mark.parametrize("file", ["tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(static_folder, file):
    (static_folder / file).unlink()
    with pytest.raises(CheckpointError, match=file.replace(".", r"\.")):
        SentenceTransformer(static_folder)


def test_copies_pickles_and_saved_folders_give_the_same_vectors(static, tmp_path):
    static.prompts["query"] = "the "
    static.truncate_dim = 7
    static.save_pretrained(tmp_path / "saved")
    saved = SentenceTransformer(tmp_path / "saved")
    assert sorted(file.name for file in (tmp_path / "saved").iterdir()) == [
        "config_sentence_transformers.json", "model.safetensors", "modules.json", "tokenizer.json",
    ]  # fmt: skip
    for model in (saved, copy.deepcopy(static), pickle.loads(pickle.dumps(static))):
        np.testing.assert_array_equal(model.encode_query(TEXTS), static.encode_query(TEXTS))
    assert saved.fingerprint() != SentenceTransformer(static.folder.path).fingerprint()
    static.save_pretrained(static.folder.path)  # into its own folder
    assert SentenceTransformer(static.folder.path).truncate_dim == 7


def test_a_program_may_put_modules_behind_a_table(static_folder, static, tmp_path):
    model = SentenceTransformer(modules=[StaticEmbedding(static_folder), Normalize()])
    expected = static.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(model.encode(TEXTS), expected, rtol=0, atol=1e-7)
    model.save_pretrained(tmp_path / "saved")
    again = SentenceTransformer(tmp_path / "saved")
    np.testing.assert_array_equal(again.encode(TEXTS), model.encode(TEXTS))
    with pytest.raises(
        TypeError, match=r"StaticEmbedding\(\) got an ndarray; expected the folder of a"
    ):
        StaticEmbedding(np.zeros((2, 2)))


def test_a_score_splits_into_the_pairs_of_tokens(static):
    explanation = static.explain("the cat sat", "a dog barks")
    vectors = static.encode(["the cat sat", "a dog barks"]).astype(np.float64)
    cosine = vectors[0] @ vectors[1] / np.linalg.norm(vectors[0]) / np.linalg.norm(vectors[1])
    assert explanation.contributions.shape == (3, 3)
    assert explanation.contributions.sum() == pytest.approx(cosine, abs=1e-6)
    assert explanation.query_tokens == ["the", "cat", "sat"]


def test_a_trace_has_the_rows_and_no_layer(static, word_rows):
    trace = static.trace("the cats")
    rows = word_rows[static.tokens("the cats").ids]
    np.testing.assert_array_equal(trace["embeddings.word_embeddings"], rows)
    np.testing.assert_array_equal(trace["token_embeddings"], rows)
    assert trace["sentence_embedding"].shape == (24,)
    with pytest.raises(ValueError, match=r"keep is 'layer\.\*', which is no array's name"):
        static.trace("the cats", keep="layer.*")
    for ask in (static.trace, lambda text: static.explain(text, "cat")):
        with pytest.raises(ValueError, match="The text has no token"):
            ask("")


def test_states_of_tokens_are_rows_and_no_token_is_one_of_zeros(static, word_rows):
    states = static.encode(["the cats", ""], output_value="token_embeddings")
    np.testing.assert_array_equal(states[0], word_rows[static.tokens("the cats").ids])
    np.testing.assert_array_equal(states[1], np.zeros((1, 24)))
    found = static.encode(["the cats", ""], output_value=None)
    np.testing.assert_array_equal(found[0]["token_embeddings"], states[0])
    np.testing.assert_array_equal(found[1]["sentence_embedding"], np.zeros(24))


def test_tokens_are_given_end_to_end(static):
    found = static.preprocess(["the cat", "", "cat"], prompt="a ")
    assert {name: array.tolist() for name, array in found.items()} == {
        "input_ids": [*static.tokens("a the cat a a cat").ids], "offsets": [0, 3, 4],
    }  # fmt: skip
    assert static.preprocess([])["offsets"].tolist() == []


def test_a_text_without_a_token_passes_the_checks_of_rows(static):
    """A server asks before it packs rows."""
    rows = static.transformer.text_tokenizer.rows(["", "the cat"], None)
    assert static.transformer.checked_types(rows.ids, rows.types) is None


def test_a_cross_encoder_of_a_table_is_refused_without_a_warning(static_folder, caplog):
    with pytest.raises(CheckpointError, match=r"has a SentenceTransformer without a config.json "):
        CrossEncoder(static_folder)
    assert caplog.messages == []


def test_what_has_no_meaning_without_layers_is_refused(static):
    with pytest.raises(ValueError, match="minibert merges no StaticEmbedding"):
        SentenceTransformer.merge([static, static])
    with pytest.raises(ValueError, match="minibert trains no StaticEmbedding"):
        static.trainable()
    with pytest.raises(AttributeError, match="A StaticEmbedding has no BERT"):
        static[0].auto_model  # noqa: B018


@pytest.mark.parametrize("arguments", [{"reproducible": True}, {"threads": 1}])
def test_a_vector_does_not_depend_on_its_neighbours(static_folder, arguments):
    texts = [*TEXTS, *(f"the cat {number} sat" for number in range(900))]
    model = SentenceTransformer(static_folder, **arguments)
    together = model.encode(texts)
    for number in (0, 1, 3, 700):
        np.testing.assert_array_equal(model.encode(texts[number]), together[number])


def test_another_device_gives_the_same_vectors(cuda, static_folder):
    model = SentenceTransformer(static_folder, device="cuda")
    expected = SentenceTransformer(static_folder).encode(TEXTS)
    np.testing.assert_allclose(model.encode(TEXTS), expected, rtol=0, atol=1e-6)


def test_commands_take_a_table(static_folder, static, run, tmp_path):
    facts = json.loads(run("info", static_folder, "--json").out)
    assert {name: facts[name] for name in ("dimension", "modules", "vocab_size", "parameters")} == {
        "dimension": 24, "modules": ["StaticEmbedding"], "vocab_size": 82, "parameters": 82 * 24,
    }  # fmt: skip
    assert "num_attention_heads" not in facts
    assert (facts["model_type"], facts["max_seq_length"]) == ("static", None)
    path = tmp_path / "vectors.npy"
    lines = "\n".join(text for text in TEXTS if text).encode()
    result = run("embed", "--model", static_folder, "--output", path, stdin=lines)
    assert result.code == 0, result.err
    np.testing.assert_array_equal(np.load(path), static.encode([text for text in TEXTS if text]))


def test_a_corpus_is_searched_by_a_table(static, tmp_path):
    build(tmp_path / "corpus", documents(TEXTS), static)
    hits = Index(tmp_path / "corpus", static).search(["the cats sat", "a dog"], k=2)
    assert [found[0].text for found in hits] == ["the cats sat", "a dog"]


def test_a_table_stands_first_and_pools_by_itself(tmp_path, word_rows):
    tensors = {"embedding.weight": word_rows}
    folder = write(tmp_path / "static", tensors, "Pooling")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="minibert runs one Pooling"):
        SentenceTransformer(folder)
    folder = write(tmp_path / "second", tensors, "StaticEmbedding")
    with pytest.raises(CheckpointError, match=f"a StaticEmbedding after .*{next(iter(MODULES))}"):
        SentenceTransformer(folder)

"""Families beside BERT: positions, names of tensors, tokenizers, and what is refused."""

import json
import math
import re
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from golden_files import GOLDEN, copy_of
from safetensors.numpy import load_file, save_file

from minibert import BertModel, CheckpointError, CrossEncoder, SentenceTransformer, Tokenizer
from minibert.bert import tensor_parallel as shares
from minibert.bert.either_forward import check_device
from minibert.bert.families import FAMILIES, most_tokens, positions_of, relative_buckets
from minibert.bert.parameters import Config
from minibert.bert.placement import put_parameters
from minibert.bert.rotary import beyond
from minibert.checkpoint.supported import supported
from minibert.commands import cli
from minibert.errors import DeviceError
from minibert.kernels.cores import CORES
from minibert.kernels.devices import find_device
from minibert.tokens.classes import CLASSES

# The golden NomicBERT's sizes under the keys of the published models.
PUBLISHED = {
    "n_embd": 20,
    "n_layer": 3,
    "n_head": 5,
    "n_inner": 37,
    "n_positions": 41,
    "layer_norm_epsilon": 1e-12,
    "rotary_emb_base": 50.0,
    "activation_function": "swiglu",
}
OWN_KEYS = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("max_position_embeddings", "layer_norm_eps", "rope_parameters", "hidden_act", "head_dim"),
)
# transformers' own names of its tensors: what saves with save_original_format=False writes.
OWN_NAMES = {
    "encoder.layers": "layers",
    "emb_ln": "embeddings.LayerNorm",
    "attn.out_proj": "self_attn.o_proj",
    "fc11": "up_proj",
    "fc12": "gate_proj",
    "fc2": "down_proj",
    "norm1": "post_attention_layernorm",
    "norm2": "post_mlp_layernorm",
}

MODELS_PAGE = Path(__file__).parents[2] / "docs" / "models.md"
NAMES = [
    *("albert", "camembert", "distilbert", "electra", "modernbert", "mpnet", "nomic_bert"),
    *("roberta", "xlm_roberta"),
]


@pytest.mark.parametrize("model_type", FAMILIES)
def test_positions_begin_where_the_family_says(model_type):
    follows = model_type in ("roberta", "xlm-roberta", "camembert", "mpnet")
    config = Config(model_type=model_type, pad_token_id=4, max_position_embeddings=20)
    found = positions_of(np.array([7, 4, 9, 9, 4, 3]), config)
    assert found.tolist() == ([5, 4, 6, 7, 4, 8] if follows else [0, 1, 2, 3, 4, 5])
    assert most_tokens(config) == (15 if follows else 20)


def test_buckets_of_distances_grow_like_a_logarithm():
    """8 + 8 log(n / 8) / log(16), which transformers takes in float32, from 8 to 127."""
    buckets = relative_buckets(300)
    assert buckets[0, 0] == 0
    for distance in (*range(1, 130), 200, 299):
        steps = math.log(distance / 8) / math.log(16) * 8
        expected = distance if distance < 8 else min(15, 8 + math.floor(steps + 1e-6))
        assert buckets[distance, 0] == expected, distance
        assert buckets[0, distance] == expected + 16, distance
    # It depends on nothing but the distance.
    np.testing.assert_array_equal(buckets[5:, 5:], buckets[:-5, :-5])


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_tensor_is_named_as_the_family_names_it(name, tmp_path):
    folder = copy_of(name, tmp_path)
    path = folder / "model.safetensors"
    tensors = dict(load_file(path))
    lost = next(tensor for tensor in tensors if "1" in tensor and "weight" in tensor)
    del tensors[lost]
    path.unlink()
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="has no tensor") as caught:
        SentenceTransformer(folder)
    assert repr(lost) in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_is_used_or_listed(name):
    model = SentenceTransformer(GOLDEN / name)
    unused = set(model.checkpoint.tensors.unused())
    assert unused <= {"embeddings.position_ids"}


@pytest.mark.parametrize("name", ["roberta", "xlm_roberta", "camembert", "mpnet"])
def test_a_long_text_is_cut_where_the_positions_end(name, tmp_path, edit, caplog):
    """The reference fails there with an index error, as it believes in two more."""
    folder = copy_of(name, tmp_path)
    edit(folder / "tokenizer_config.json", model_max_length=1000)
    edit(folder / "sentence_bert_config.json", max_seq_length=None)
    model = SentenceTransformer(folder)
    assert model.max_seq_length == 41
    assert len(model.tokens("the cat sat " * 50).ids) == 41
    assert model.encode("the cat sat " * 50).shape == (20,)
    assert "1 of 1 texts were longer than 41 tokens" in caplog.text
    with pytest.raises(ValueError, match="max_seq_length is 42; this model has 41 positions"):
        model.max_seq_length = 42


@pytest.fixture
def even(tmp_path, edit):
    """An MPNet whose heads and feed-forward fall into halves."""
    folder = copy_of("mpnet", tmp_path)
    tensors = dict(load_file(folder / "model.safetensors"))
    for name, tensor in tensors.items():
        if "relative_attention_bias" in name:
            tensors[name] = tensor[:, :4].copy()
        elif "intermediate.dense" in name:
            tensors[name] = tensor[:36].copy()
        elif name.endswith("output.dense.weight"):
            tensors[name] = tensor[:, :36].copy()
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    edit(folder / "config.json", num_attention_heads=4, intermediate_size=36)
    return folder


def test_threads_that_share_a_text_share_the_bias_by_distance(even, monkeypatch, texts):
    alone = SentenceTransformer(even, on_long="ignore", threads=1).encode(texts[4])
    monkeypatch.setattr("minibert.bert.tensor_parallel.WORTH_MEETING", 1)
    monkeypatch.setattr("minibert.models.transformer.thread_count", lambda threads: 2)
    monkeypatch.setattr(CORES, "_free", threading.BoundedSemaphore(2))
    met = []
    together = shares.run_together
    monkeypatch.setattr(
        "minibert.bert.tensor_parallel.run_together",
        lambda run, count: [met.append(count), together(run, count)][1],
    )
    shared = SentenceTransformer(even, on_long="ignore").encode(texts[4])
    assert met == [2]
    np.testing.assert_allclose(shared, alone, rtol=0, atol=5e-6)


@pytest.mark.parametrize("name", NAMES)
def test_texts_together_and_alone_have_the_same_vectors(name, texts):
    model = SentenceTransformer(GOLDEN / name, on_long="ignore")
    together = model.encode(texts)
    alone = np.stack([model.encode(text) for text in texts])
    np.testing.assert_allclose(together, alone, rtol=0, atol=5e-6)
    assert np.ptp(together, axis=0).max() > 0.5  # texts differ


@pytest.mark.parametrize("pooling_mode", ["cls", "lasttoken"])
def test_a_bias_by_distance_is_that_of_the_token_that_is_read(pooling_mode, tmp_path, edit, texts):
    """The last layer is otherwise computed for one token alone."""
    folder = copy_of("mpnet", tmp_path)
    (settings,) = folder.glob("*Pooling/config.json")
    edit(settings, pooling_mode=pooling_mode)
    model = SentenceTransformer(folder, on_long="ignore")
    states = model.encode(texts, output_value="token_embeddings")
    place = 0 if pooling_mode == "cls" else -1
    expected = np.stack([state[place] for state in states])
    np.testing.assert_allclose(model.encode(texts), expected, rtol=0, atol=5e-6)


def test_layers_that_are_used_again_are_in_memory_once():
    layers = SentenceTransformer(GOLDEN / "albert").checkpoint.parameters.layers
    assert len(layers) == 3
    assert layers[0] is layers[1] is not layers[2]  # int(layer / (3 layers / 2 groups))


def test_layers_that_are_used_again_are_cut_and_moved_once():
    """ALBERT's twelve are often one; twelve copies of it as tiles would be most of the memory."""
    model = SentenceTransformer(GOLDEN / "albert")
    parameters = model.checkpoint.parameters
    cut = shares.Shares(parameters, model.config)._cut(1, shares.tiled)
    moved = put_parameters(parameters, find_device("cpu")).layers
    for layers in (cut, moved):
        assert layers[0] is layers[1] is not layers[2]


@pytest.mark.parametrize("family", ["t5", "gpt2", "deberta-v2", "bart", "xlnet"])
def test_other_families_are_refused_with_the_list_of_those_that_run(folder, edit, family):
    edit(folder / "config.json", model_type=family)
    with pytest.raises(CheckpointError, match=f"model_type is '{family}'") as caught:
        SentenceTransformer(folder)
    for name in FAMILIES:
        assert name in str(caught.value)


@pytest.mark.parametrize("name", ["electra", "roberta", "albert"])
def test_positions_of_another_kind_are_refused(name, tmp_path, edit):
    folder = copy_of(name, tmp_path)
    edit(folder / "config.json", position_embedding_type="relative_key")
    with pytest.raises(CheckpointError, match="position_embedding_type is 'relative_key'"):
        SentenceTransformer(folder)


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        ("distilbert", "dim", 0, "dim is 0; expected a whole number from 1 up"),
        ("distilbert", "activation", "nonsense", "'nonsense'"),
        ("distilbert", "n_heads", 3, "which does not divide"),
        ("roberta", "pad_token_id", -1, "pad_token_id is -1"),
        ("roberta", "pad_token_id", None, "pad_token_id is None"),
        ("electra", "embedding_size", 13, "config.json implies"),
        ("mpnet", "relative_attention_num_buckets", 33, "config.json implies"),
        ("albert", "num_hidden_groups", 0, "num_hidden_groups is 0"),
        ("albert", "inner_group_num", "two", "inner_group_num is 'two'"),
        ("modernbert", "rope_parameters", [1], "rope_parameters is [1]; expected a dict"),
        ("modernbert", "rope_parameters", {"rope_theta": 5.0}, "expected full_attention"),
        ("modernbert", "rope_parameters", {"full_attention": 1}, "full_attention is 1"),
        (
            "modernbert",
            "rope_parameters",
            {"full_attention": {"rope_theta": "x"}},
            "global_rope_theta is 'x'; expected a number above 0",
        ),
        (
            "modernbert",
            "rope_parameters",
            {"sliding_attention": {"rope_type": "linear", "factor": 4.0}},
            "rope_type is 'linear', which stretches the positions",
        ),
        ("modernbert", "rope_scaling", {"rope_type": "dynamic"}, "rope_type is 'dynamic'"),
        ("modernbert", "layer_types", ["full_attention"], "num_hidden_layers 4"),
        ("modernbert", "layer_types", ["full_attention", "x"] * 2, "layer_types is"),
        ("modernbert", "layer_types", 7, "layer_types is 7; expected a list"),
        ("modernbert", "norm_eps", 0, "norm_eps is 0; expected a number above 0"),
        ("nomic_bert", "rope_parameters", {"rope_type": "yarn"}, "rope_type is 'yarn'"),
        ("nomic_bert", "rope_parameters", {"rope_theta": 0}, "global_rope_theta is 0"),
        ("nomic_bert", "head_dim", 8, "head_dim is 8 and num_attention_heads 5; their product"),
        ("modernbert", "head_dim", "4", "head_dim is '4'"),
        ("modernbert", "max_position_embeddings", 10**40, "which is more than any model has"),
        ("modernbert", "max_position_embeddings", 1 << 62, "which is more than any model has"),
        ("modernbert", "local_attention", 10**40, "local_attention is 1000000"),
        ("nomic_bert", "max_position_embeddings", 10**40, "which is more than any model has"),
        ("roberta", "vocab_size", 10**40, "vocab_size is 1000000"),
    ],
)
def test_a_size_that_cannot_be_is_named(name, key, value, message, tmp_path, edit):
    folder = copy_of(name, tmp_path)
    edit(folder / "config.json", **{key: value})
    with pytest.raises(CheckpointError) as caught:
        SentenceTransformer(folder)
    assert message in str(caught.value)


def test_a_rule_of_local_layers_that_is_none_is_named(tmp_path, edit):
    folder = copy_of("modernbert", tmp_path)
    edit(folder / "config.json", layer_types=None, global_attn_every_n_layers=0)
    with pytest.raises(CheckpointError, match="global_attn_every_n_layers 0; expected"):
        SentenceTransformer(folder)


@pytest.mark.parametrize(
    ("name", "changes", "same"),
    [
        ("nomic_bert", {"rope_parameters": None, "rope_theta": 50.0}, {}),
        ("modernbert", {"sliding_window": 2}, {"local_attention": 4}),
        ("nomic_bert", {"head_dim": 4}, {"head_dim": None}),
        # The keys of the published models, alone and beside those of transformers, which count.
        ("nomic_bert", {**PUBLISHED, **dict.fromkeys(OWN_KEYS)}, {}),
        ("nomic_bert", dict.fromkeys(PUBLISHED, 7) | {"activation_function": "geglu"}, {}),
        # Keys of other families, which mean nothing in these.
        ("nomic_bert", {"norm_first": True, "local_layers": [1], "embedding_size": 7}, {}),
        ("gelu", {"pad_token_id": None, "embedding_size": 7, "num_hidden_groups": "x"}, {}),
        ("distilbert", {"pad_token_id": -1, "local_attention": 0.5}, {}),
    ],
)
def test_a_key_means_what_it_means_to_the_family(name, changes, same, tmp_path, edit, texts):
    """The reference reads each of these so, or ignores it."""
    vectors = []
    for number, settings in enumerate((changes, same)):
        folder = copy_of(name, tmp_path / str(number))
        edit(folder / "config.json", **settings)
        vectors.append(SentenceTransformer(folder, on_long="ignore").encode(texts))
    np.testing.assert_array_equal(*vectors)


def test_hidden_states_end_where_the_model_ends():
    """ModernBERT has one more layer norm after its last layer."""
    model = BertModel.from_pretrained(GOLDEN / "modernbert")
    output = model([[2, 5, 6, 3], [2, 7, 3, 0]], [[1, 1, 1, 1], [1, 1, 1, 0]],
                   output_hidden_states=True)  # fmt: skip
    assert len(output.hidden_states) == 5
    np.testing.assert_array_equal(output.hidden_states[-1], output.last_hidden_state)


def test_layers_within_a_group_each_have_hidden_states(tmp_path, edit):
    folder = copy_of("albert", tmp_path)
    tensors = load_file(folder / "model.safetensors")
    within = {
        name.replace("groups.1.albert_layers.0", "groups.0.albert_layers.1"): tensor.copy()
        for name, tensor in tensors.items()
    }
    (folder / "model.safetensors").unlink()
    save_file(within, folder / "model.safetensors", metadata={"format": "pt"})
    edit(folder / "config.json", num_hidden_groups=1, inner_group_num=2)
    output = BertModel.from_pretrained(folder)(
        [[2, 5, 6, 3]], output_hidden_states=True, output_attentions=True
    )
    assert len(output.hidden_states) == 7  # three layers of two each, and the embeddings
    assert len(output.attentions) == 6
    assert all(np.abs(states).max() > 0 for states in (*output.hidden_states, *output.attentions))


@pytest.mark.parametrize("name", ["mpnet", "modernbert"])
def test_padding_between_tokens_is_refused_where_distance_counts(name):
    """Packed without it, the tokens on both sides would stand nearer than in the reference."""
    model = BertModel.from_pretrained(GOLDEN / name)
    ids = np.array([[1, 1, 9, 8, 7, 1]])
    with pytest.raises(ValueError, match=f"Row 1 .* 0 between tokens; {name} attends by distance"):
        model(np.repeat(ids, 2, axis=0), [[0, 0, 1, 1, 1, 0], [1, 1, 0, 1, 1, 1]])
    assert model(ids, [[0, 0, 1, 1, 1, 0]]).last_hidden_state.shape == (1, 6, 20)


def test_a_mask_of_distances_takes_no_more_memory_than_itself():
    tracemalloc.start()
    found = beyond(2048, 64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * found.nbytes
    places = np.arange(300)
    far = np.abs(places[:, None] - places) > 3
    np.testing.assert_array_equal(beyond(300, 3)[0], np.where(far, -np.inf, 0))


def test_padding_that_a_text_writes_out_is_no_position(tmp_path):
    """`<pad>` in a text stands at the padding's position, and those after it move up."""
    model = BertModel.from_pretrained(GOLDEN / "roberta")
    ids = np.array([[0, 9, 1, 9, 2]])
    states = model(ids).last_hidden_state[0]
    without = model(ids[:, [0, 1, 3, 4]]).last_hidden_state[0]
    # Had the padding counted, the second 9 would stand elsewhere than without it.
    masked = model(ids, np.array([[1, 1, 0, 1, 1]])).last_hidden_state[0]
    np.testing.assert_allclose(masked[[0, 1, 3, 4]], without, rtol=0, atol=5e-6)
    assert np.abs(states[[0, 1, 3, 4]] - without).max() > 0.01  # but it is attended to


@pytest.mark.parametrize("kind", ["XLMRobertaTokenizer", "CamembertTokenizer", "AlbertTokenizer"])
def test_pieces_without_tokenizer_json_are_refused_with_a_way_out(kind, tmp_path, edit):
    folder = copy_of("xlm_roberta", tmp_path)
    edit(folder / "tokenizer_config.json", tokenizer_class=kind)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is missing.*save_pretrained"):
        SentenceTransformer(folder)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"type": "WordPiece", "vocab": {"a": 0}}, "no list of"),
        ({"vocab": [["a", "b"]]}, "no list of"),
        ({"vocab": []}, "no Unigram with a vocabulary"),
        ({"vocab": [["a", 0.5]]}, "has 1 pieces, too few"),
    ],
)
def test_a_vocabulary_that_holds_no_pieces_is_named(model, message, tmp_path):
    folder = copy_of("xlm_roberta", tmp_path)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "model": model}), encoding="utf-8")
    with pytest.raises(CheckpointError, match=message):
        SentenceTransformer(folder)


@pytest.mark.parametrize(
    "normalizer",
    [
        "x",
        [{"type": "Lowercase"}],
        {"type": "Precompiled", "precompiled_charsmap": "!!!"},
        {"type": "Precompiled", "precompiled_charsmap": "QUJD"},
        {"type": "Precompiled", "precompiled_charsmap": None},
    ],
)
@pytest.mark.parametrize("kind", ["XLMRobertaTokenizer", "AlbertTokenizer", "TokenizersBackend"])
def test_a_table_of_characters_that_is_none_is_named(kind, normalizer, tmp_path, edit):
    """The library panics at some of these, which no caller could catch as an Exception."""
    folder = copy_of("xlm_roberta", tmp_path)
    edit(folder / "tokenizer_config.json", tokenizer_class=kind)
    edit(folder / "tokenizer.json", normalizer=normalizer)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        SentenceTransformer(folder)


@pytest.mark.parametrize("merges", [["zz yy"], ["a"], [1]])
def test_merges_that_cannot_be_are_named(merges, tmp_path, edit):
    folder = copy_of("roberta", tmp_path)
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    edit(folder / "tokenizer.json", model={**model, "merges": merges})
    with pytest.raises(CheckpointError, match="has no BPE that can be built"):
        SentenceTransformer(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text("[1]")
    (folder / "merges.txt").write_text("")
    with pytest.raises(CheckpointError, match="has no BPE that can be built"):
        SentenceTransformer(folder)


def test_special_tokens_that_frame_no_text_are_named(tmp_path, edit):
    folder = copy_of("roberta", tmp_path)
    edit(folder / "tokenizer_config.json", cls_token="a:b")
    with pytest.raises(CheckpointError, match="the special tokens frame no text"):
        SentenceTransformer(folder)


@pytest.mark.parametrize("kind", ["RobertaTokenizer", "MPNetTokenizer", "GPT2Tokenizer"])
def test_a_modernbert_takes_its_words_as_they_stand(kind, tmp_path, edit, texts):
    """The reference trusts none of the classes that its folders name."""
    folder = copy_of("modernbert", tmp_path)
    edit(folder / "tokenizer_config.json", tokenizer_class=kind)
    found = SentenceTransformer(folder, on_long="ignore").encode(texts)
    expected = SentenceTransformer(GOLDEN / "modernbert", on_long="ignore").encode(texts)
    np.testing.assert_array_equal(found, expected)
    words = Tokenizer.from_pretrained(folder)
    assert words("the cat", "sat")["input_ids"] == [2, 5, 6, 3, 8, 3]


def test_an_albert_whose_file_says_nothing_is_framed_as_a_bert(tmp_path, edit):
    folder = copy_of("albert", tmp_path)
    edit(folder / "tokenizer.json", post_processor=None)
    found = Tokenizer.from_pretrained(folder)
    expected = Tokenizer.from_pretrained(GOLDEN / "albert")
    for pair in (("the cat", None), ("the cat", "sat")):
        assert found(*pair) == expected(*pair)


def test_an_empty_list_of_extra_tokens_is_not_a_missing_one(tmp_path, edit, removed):
    folder = copy_of("camembert", tmp_path)
    path = folder / "tokenizer_config.json"
    edit(path, extra_special_tokens=[], additional_special_tokens=removed)
    assert sorted(Tokenizer.from_pretrained(folder).all_special_ids) == [1, 3, 5, 6, 65]
    edit(path, extra_special_tokens=removed)
    assert {0, 2, 4} < set(Tokenizer.from_pretrained(folder).all_special_ids)


def test_a_byte_level_vocabulary_needs_its_merges(tmp_path):
    folder = copy_of("roberta", tmp_path)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["model"]["merges"]
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CheckpointError, match="no BPE with a vocabulary and merges"):
        SentenceTransformer(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"neither in tokenizer\.json nor in vocab\.json"):
        SentenceTransformer(folder)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_without_a_classifier_is_no_cross_encoder(name, tmp_path):
    folder = copy_of(name, tmp_path)
    for extra in ("modules.json", "config_sentence_transformers.json"):
        (folder / extra).unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match="has no classifier"):
        CrossEncoder(folder)


@pytest.mark.parametrize("name", NAMES)
def test_two_ends_stand_between_the_texts_of_a_pair(name):
    words = SentenceTransformer(GOLDEN / name).transformer.words
    ids = words.rows([("a", "a")], None).ids[0].tolist()
    (between,) = (words.frame.pair[1:-1],)
    doubled = name in ("roberta", "xlm_roberta", "camembert", "mpnet")
    assert [len(part) for part in between] == [2 if doubled else 1]
    assert between[0] == [ids[-1]] * len(between[0])


def test_every_family_has_a_tokenizer_that_can_be_built():
    assert {family.tokenizer for family in FAMILIES.values()} <= CLASSES.keys()


def test_known_models_run_where_their_family_does():
    found = supported()
    assert found["families"] == list(FAMILIES)
    assert len(found["models"]) >= 30
    for model in found["models"]:
        if model["runs"]:
            assert model["model_type"] in FAMILIES
        else:
            assert model["remark"]
        assert model["sources"]


def test_the_page_of_models_has_what_the_command_prints(capsys):
    """A value that no source had is a blank cell there, and null here."""
    assert cli.main(["info", "--supported", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    page = MODELS_PAGE.read_text(encoding="utf-8")
    sources = re.findall(r"^\d+\. [<`](.*)[>`]$", page, re.MULTILINE)
    rows = [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in page.splitlines()
        if re.match(r"\| `[^`]*/", line)
    ]
    assert len(rows) == len(models)
    for row, model in zip(rows, models, strict=True):
        keys = ("model_type", "dimensions", "max_seq_length", "pooling", "metric")
        assert row[0] == f"`{model['model']}`"
        assert row[1:6] == ["" if model[key] is None else str(model[key]) for key in keys]
        for text in (model["prompts"] or {}).values():
            assert text.strip().replace("\n", "\\n") in row[6]
        assert bool(row[6]) == bool(model["prompts"])
        assert row[7].startswith("yes" if model["runs"] else "no")
        assert [sources[int(number) - 1] for number in row[8].split()] == model["sources"]


def test_supported_models_are_a_table_for_readers(capsys):
    assert cli.main(["info", "--supported"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"families: {', '.join(FAMILIES)}"
    row = next(line for line in lines if line.startswith("sentence-transformers/all-mpnet-base"))
    assert row.split() == ["sentence-transformers/all-mpnet-base-v2", "mpnet", "768", "384",
                           "cosine", "yes"]  # fmt: skip


@pytest.mark.parametrize("arguments", [["info"], ["info", "folder", "--supported"]])
def test_info_takes_a_model_or_asks_for_all(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "--supported" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("modernbert", ("local_layers", [1, 2])),
        ("electra", ("embedding_size", 12)),
        ("albert", ("num_hidden_groups", 2)),
        ("roberta", ("pad_token_id", 1)),
    ],
)
def test_info_tells_what_only_a_family_has(name, fact, capsys):
    assert cli.main(["info", str(GOLDEN / name), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts[fact[0]] == fact[1]
    assert facts["model_type"] == name
    assert "relative_attention_num_buckets" not in facts  # 32 everywhere, and MPNet's alone


@pytest.mark.parametrize("prefix", ["", "nomic_bert."])
def test_a_nomic_bert_with_the_names_of_transformers_is_read(prefix, tmp_path, texts):
    folder = copy_of("nomic_bert", tmp_path)
    stored = load_file(folder / "model.safetensors")
    tensors = {}
    for name, tensor in stored.items():
        for old, new in OWN_NAMES.items():
            name = name.replace(old, new)
        if name.endswith("attn.Wqkv.weight"):
            for part, rows in zip("qkv", np.split(tensor, 3), strict=True):
                tensors[name.replace("attn.Wqkv", f"self_attn.{part}_proj")] = rows.copy()
        else:
            tensors[name] = tensor
    assert len(tensors) == len(stored) + 2 * 3
    save_file({prefix + name: tensor for name, tensor in tensors.items()},
              folder / "model.safetensors")  # fmt: skip
    model = SentenceTransformer(folder, on_long="ignore")
    assert model.checkpoint.tensors.unused() == ()
    expected = SentenceTransformer(GOLDEN / "nomic_bert", on_long="ignore").encode(texts)
    np.testing.assert_allclose(model.encode(texts), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("model_type", ["modernbert", "nomic_bert"])
def test_what_turns_queries_and_keys_is_refused_on_a_gpu(model_type):
    with pytest.raises(DeviceError, match=f"{model_type} runs on the CPU alone, not on 'cuda:1'"):
        check_device(Config(model_type=model_type), "cuda:1")
    check_device(Config(model_type=model_type), "cpu")
    check_device(Config(), "cuda:1")

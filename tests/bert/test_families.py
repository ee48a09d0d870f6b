"""Families beside BERT: positions, names of tensors, what is computed, and what is refused."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from golden_files import GOLDEN, copy_of, nomic_with_own_names
from safetensors.numpy import load_file, save_file

from minibert import BertModel, CheckpointError, CrossEncoder, SentenceTransformer
from minibert.bert import tensor_parallel
from minibert.bert.families import FAMILIES, check_device, max_tokens, positions_of
from minibert.bert.forward import hidden_states
from minibert.bert.parameters import Config
from minibert.bert.placement import parameters_to_device
from minibert.bert.rotary import sliding_window_mask
from minibert.common import safetensors_files
from minibert.errors import DeviceError
from minibert.kernels.cores import Cores
from minibert.kernels.devices import find_device
from minibert.tokens.classes import CLASSES

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
    assert max_tokens(config) == (15 if follows else 20)


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


def test_threads_that_split_a_text_split_its_attention_bias(even, monkeypatch, texts):
    alone = SentenceTransformer(even, on_long="ignore", threads=1).encode(texts[4])
    monkeypatch.setattr("minibert.models.transformer.thread_count", lambda threads: 2)
    met = []
    run_ranks = tensor_parallel.run_ranks
    monkeypatch.setattr(
        "minibert.bert.tensor_parallel.run_ranks",
        lambda forward, parts: [met.append(len(parts)), run_ranks(forward, parts)][1],
    )
    model = SentenceTransformer(even, on_long="ignore")
    ranks = model.transformer.scheduler.tensor_parallel
    ranks.min_rank_work, ranks.cores = 1, Cores(2)
    shared = model.encode(texts[4])
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
    whole = tensor_parallel.TensorParallel(parameters, model.config, FAMILIES["albert"])
    in_tiles = whole._layers_in(1, tensor_parallel.tiled)
    moved = parameters_to_device(parameters, find_device("cpu")).layers
    for layers in (in_tiles, moved):
        assert layers[0] is layers[1] is not layers[2]


@pytest.mark.parametrize("family", ["t5", "gpt2", "deberta-v2", "bart", "xlnet"])
def test_unknown_families_are_refused_with_a_list_of_known_ones(folder, edit, family):
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
    found = sliding_window_mask(2048, 64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * found.nbytes
    places = np.arange(300)
    far = np.abs(places[:, None] - places) > 3
    np.testing.assert_array_equal(sliding_window_mask(300, 3)[0], np.where(far, -np.inf, 0))


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


@pytest.mark.parametrize("name", NAMES)
def test_a_model_without_a_classifier_is_no_cross_encoder(name, tmp_path):
    folder = copy_of(name, tmp_path)
    for extra in ("modules.json", "config_sentence_transformers.json"):
        (folder / extra).unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match="has no classifier"):
        CrossEncoder(folder)


def test_every_family_has_a_tokenizer_that_can_be_built():
    assert {family.tokenizer for family in FAMILIES.values()} <= CLASSES.keys()


@pytest.mark.parametrize("prefix", ["", "nomic_bert."])
def test_a_nomic_bert_with_the_names_of_transformers_is_read(prefix, tmp_path, texts):
    folder = nomic_with_own_names(tmp_path, prefix)
    model = SentenceTransformer(folder, on_long="ignore")
    assert model.checkpoint.tensors.unused() == ()
    expected = SentenceTransformer(GOLDEN / "nomic_bert", on_long="ignore").encode(texts)
    np.testing.assert_allclose(model.encode(texts), expected, rtol=0, atol=1e-5)


def test_a_file_is_mapped_once_whatever_its_names(tmp_path, monkeypatch):
    mapped = []
    original = safetensors_files.map_safetensors
    monkeypatch.setattr(
        safetensors_files, "map_safetensors", lambda path: [mapped.append(path), original(path)][1]
    )
    SentenceTransformer(nomic_with_own_names(tmp_path))
    assert len(mapped) == 1


def test_a_family_from_outside_is_one_row(folder, edit, removed, monkeypatch, texts):
    """It has keys, names and a forward pass of its own, and runs on one device alone."""
    passes = []

    def own_pass(*arguments, **named):
        passes.append(1)
        return hidden_states(*arguments, **named)

    row = replace(
        FAMILIES["bert"],
        forward=own_pass,
        devices=("cpu",),
        prefix="anew.",
        names=(("encoder.layer.", "blocks."),),
        keys={"hidden_size": "width"},
    )
    expected = SentenceTransformer(folder, on_long="ignore").encode(texts)
    edit(folder / "config.json", model_type="anew", width=20, hidden_size=removed)
    tensors = load_file(folder / "model.safetensors")
    renamed = {
        f"anew.{name.replace('encoder.layer.', 'blocks.')}": tensor
        for name, tensor in tensors.items()
    }
    (folder / "model.safetensors").unlink()
    save_file(renamed, folder / "model.safetensors")
    monkeypatch.setitem(FAMILIES, "anew", row)
    model = SentenceTransformer(folder, on_long="ignore")
    np.testing.assert_array_equal(model.encode(texts), expected)
    assert model.checkpoint.tensors.unused() == ()
    assert BertModel.from_pretrained(folder)([[2, 5, 3]]).last_hidden_state.shape == (1, 3, 20)
    assert len(passes) >= 2
    with pytest.raises(DeviceError, match="anew runs on the CPU alone"):
        check_device(model.config, "cuda")


@pytest.mark.parametrize(("devices", "places"), [
    (("cpu",), "the CPU"),
    (("cuda",), "cuda"),
    (("cpu", "cuda"), "the CPU and cuda"),
])  # fmt: skip
def test_a_refusal_names_the_devices_of_the_row(monkeypatch, devices, places):
    monkeypatch.setitem(FAMILIES, "anew", replace(FAMILIES["bert"], devices=devices))
    with pytest.raises(DeviceError, match=f"anew runs on {places} alone, not on 'tpu:1'"):
        check_device(Config(model_type="anew"), "tpu:1")


@pytest.mark.parametrize("model_type", ["modernbert", "nomic_bert"])
def test_families_with_rotary_angles_are_refused_on_a_gpu(model_type):
    with pytest.raises(DeviceError, match=f"{model_type} runs on the CPU alone, not on 'cuda:1'"):
        check_device(Config(model_type=model_type), "cuda:1")
    check_device(Config(model_type=model_type), "cpu")
    check_device(Config(), "cuda:1")

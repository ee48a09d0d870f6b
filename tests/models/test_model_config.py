"""Settings of config.json under transformers' names, and a BertModel's names of torch's modules."""

import copy
import json
import pickle

import numpy as np
import pytest

from minibert import BertModel, CheckpointError, CrossEncoder, DeviceError, SentenceTransformer

IDS = [[2, 5, 6, 3]]


def written(folder):
    return json.loads((folder / "config.json").read_text())


def test_a_config_has_every_key_of_its_file(folder, three):
    for model, path in (
        (SentenceTransformer(folder), folder),
        (CrossEncoder(three), three),
        (BertModel.from_pretrained(folder), folder),
    ):
        keys = written(path)
        labels = {"id2label": model.config.id2label, "label2id": model.config.label2id}
        assert model.config.to_dict() == {**keys, **labels}
        for key in keys.keys() - labels.keys():
            assert getattr(model.config, key) == keys[key]
        with pytest.raises(AttributeError, match="no 'hiden_size', and minibert has"):
            model.config.hiden_size  # noqa: B018


def test_a_change_of_the_dict_changes_no_config(folder):
    config = SentenceTransformer(folder).config
    config.to_dict()["id2label"][0] = "changed"
    assert config.id2label == {0: "LABEL_0", 1: "LABEL_1"}


def test_labels_have_the_names_of_the_folder(three, edit):
    edit(three / "config.json", id2label={"0": "no", "1": "yes", "2": "maybe"})
    named = CrossEncoder(three).config
    assert named.id2label == {0: "no", 1: "yes", 2: "maybe"}
    assert named.label2id == {"no": 0, "yes": 1, "maybe": 2}


def test_a_label_without_a_name_is_numbered(one, edit, removed):
    edit(one / "config.json", id2label=removed, architectures=["BertModel"])
    scorer = CrossEncoder(one)
    assert (scorer.num_labels, scorer.config.num_labels) == (1, 1)
    assert scorer.config.id2label == {0: "LABEL_0"}


@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda config: pickle.loads(pickle.dumps(config))]
)
def test_a_copy_of_a_config_has_all_of_it(three, again):
    config = CrossEncoder(three).config
    copied = again(config)
    assert copied == config
    assert copied.to_dict() == config.to_dict()
    assert copied.initializer_range == config.initializer_range


def test_a_bert_moves_and_changes_its_mode_as_torch_s_do(folder):
    model = BertModel.from_pretrained(folder)
    for method, arguments in (
        *(("eval", ()), ("train", (False,)), ("train", ())),
        *(("to", ("cpu",)), ("cpu", ())),
    ):
        assert getattr(model, method)(*arguments) is model
    assert (model.device, model.dtype) == ("cpu", "float32")
    for move in (lambda: model.to("cuda"), model.cuda, lambda: model.cuda(1)):
        with pytest.raises(DeviceError, match="device 'cuda"):
            move()
    assert model.device == "cpu"
    assert model(IDS).last_hidden_state.shape == (1, 4, model.config.hidden_size)


def test_a_bert_s_neutral_arguments_change_no_bit(folder):
    expected = BertModel.from_pretrained(folder)(IDS).last_hidden_state
    found = BertModel.from_pretrained(
        folder, torch_dtype="auto", add_pooling_layer=False, attn_implementation="eager",
        trust_remote_code=False, low_cpu_mem_usage=True, device_map=None,
    )  # fmt: skip
    np.testing.assert_array_equal(found(IDS).last_hidden_state, expected)
    np.testing.assert_array_equal(
        BertModel.from_pretrained(folder, dtype="auto")(IDS).last_hidden_state, expected
    )
    with pytest.raises(ValueError, match=r"from_pretrained\(\) has 'load_in_4bit': True. mini"):
        BertModel.from_pretrained(folder, load_in_4bit=True)
    with pytest.raises(ValueError, match="dtype is 'bfloat16'"):
        BertModel.from_pretrained(folder, torch_dtype="bfloat16")


def test_outputs_that_are_asked_for_at_loading_are_there(folder):
    model = BertModel.from_pretrained(folder, output_hidden_states=True)
    assert len(model(IDS).hidden_states) == model.config.num_hidden_layers + 1
    assert model.config.output_hidden_states is True
    assert model(IDS, output_hidden_states=False).hidden_states is None
    assert isinstance(BertModel.from_pretrained(folder, return_dict=False)(IDS), tuple)


@pytest.mark.parametrize("named", [-1e30, ["no", "yes"], {"first": "no"}, "no"])
def test_labels_that_are_no_names_by_number_are_refused(folder, edit, named):
    edit(folder / "config.json", id2label=named)
    with pytest.raises(CheckpointError, match=r"id2label is .*; expected an object with a name"):
        BertModel.from_pretrained(folder)

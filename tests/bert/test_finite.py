"""A model whose numbers overflow: an error that names the first step, and no NaN for an answer."""

import numpy as np
import pytest
from golden_files import GOLDEN, copy_of, spoil
from safetensors.numpy import load_file, save_file

from minibert import BertForMaskedLM, BertModel, CheckpointError, CrossEncoder, SentenceTransformer
from minibert.commands import cli
from minibert.corpus.building import build
from minibert.corpus.corpus import Corpus
from minibert.documents.reading import Document
from minibert.models.scheduler import Scheduler

TEXTS = ["the cat sat on a mat", "a dog", "", "London"]
NAMES = {
    "bert": ("gelu", "encoder.layer.1.intermediate.dense.weight", "layer 1 (intermediate)"),
    "relu": ("relu", "encoder.layer.0.attention.self.value.weight", "layer 0 (value)"),
    "words": ("gelu", "embeddings.position_embeddings.weight", "the embeddings (output)"),
    "norm": ("silu", "encoder.layer.2.output.LayerNorm.weight", "layer 2 (output)"),
    "distilbert": ("distilbert", "transformer.layer.1.ffn.lin1.weight", "layer 1 (intermediate)"),
    "modernbert": ("modernbert", "layers.2.mlp.Wi.weight", "layer 2 (intermediate)"),
    "nomic_bert": ("nomic_bert", "encoder.layers.0.attn.Wqkv.weight", "layer 0 (query)"),
    "mpnet": ("mpnet", "encoder.layer.1.attention.attn.k.weight", "layer 1 (key)"),
    "albert": ("albert", "embeddings.LayerNorm.weight", "the embeddings (output)"),
}


@pytest.fixture
def spoilt(tmp_path):
    return spoil(copy_of("gelu", tmp_path), NAMES["bert"][1])


@pytest.mark.parametrize(("name", "tensor", "where"), NAMES.values(), ids=NAMES)
def test_the_first_layer_that_is_not_finite_is_named(name, tensor, where, tmp_path):
    folder = spoil(copy_of(name, tmp_path), tensor)
    model = SentenceTransformer(folder)
    for texts in (TEXTS, TEXTS[:1], TEXTS * 40):
        with pytest.raises(CheckpointError) as caught:
            model.encode(texts, pack_tokens=100)
        assert str(caught.value).startswith(f"{folder}: a result holds NaN or infinity; {where} ")
        assert "The weights are too large to compute with" in str(caught.value)


def test_every_call_on_a_model_that_overflows_names_the_layer(spoilt, tmp_path):
    model = SentenceTransformer(spoilt)
    document = [Document("d", "the cat", "here")]
    for ask in (
        lambda: model.encode("the cat", output_value="token_embeddings"),
        lambda: model.encode(["the cat"], output_value=None),
        lambda: model.encode(["cat " * 90], on_long="window"),
        lambda: model.encode(["the cat"] * 4, device=["cpu"]),
        lambda: model.trace("the cat", keep="layer.0.*")["layer.0.output"],
        lambda: model.explain("the cat", "a dog"),
        lambda: BertModel.from_pretrained(spoilt)([[2, 5, 3]]),
        lambda: BertModel.from_pretrained(spoilt)([[2, 5, 3]], output_hidden_states=True),
        lambda: build(tmp_path / "corpus", document, model),
    ):
        with pytest.raises(CheckpointError, match=r"layer 1 \(intermediate\) was the first"):
            ask()
    assert len(Corpus(tmp_path / "corpus")) == 0


def test_a_command_ends_with_the_code_of_bad_data(spoilt, capsys):
    assert cli.main(["embed", "-m", str(spoilt), "--format", "jsonl", "the cat"]) == 65
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "layer 1 (intermediate) was the first" in shown.err


@pytest.mark.parametrize(
    ("tensor", "where"),
    [
        ("encoder.layer.0.output.dense.weight", "layer 0 (output)"),
        ("classifier.weight", "the classifier"),
    ],
)
def test_a_cross_encoder_names_its_head_too(tensor, where, tmp_path):
    folder = spoil(copy_of("cross_encoder", tmp_path), tensor)
    model = CrossEncoder(folder)
    for pairs in ([("the cat", "a dog"), ("a", "b")], ("the cat", "a dog")):
        with pytest.raises(CheckpointError) as caught:
            model.predict(pairs)
        assert f"; {where} was the first to make one" in str(caught.value)


def test_a_head_for_masked_words_is_named(tmp_path):
    folder = spoil(copy_of("masked", tmp_path), "cls.predictions.bias")
    edited = spoil(folder, "cls.predictions.transform.LayerNorm.bias")
    with pytest.raises(CheckpointError, match="the head for masked words was the first"):
        BertForMaskedLM(edited).fill_mask("the [MASK] sat.")


@pytest.mark.parametrize(
    ("module", "tensor", "where"),
    [
        ("1_Dense", "linear.weight", "Dense"),  # on the tokens
        ("3_Dense", "linear.weight", "Dense"),
        ("4_LayerNorm", "norm.weight", "LayerNorm"),
    ],
)
def test_a_module_around_the_pooling_is_named(module, tensor, where, tmp_path):
    folder = copy_of("modules", tmp_path)
    spoil(folder, tensor, file=f"{module}/model.safetensors")
    with pytest.raises(CheckpointError, match=f"; {where} was the first to make one"):
        SentenceTransformer(folder).encode(TEXTS)


def test_an_overflow_in_the_pooling_s_sum_names_the_pooling(tmp_path, edit):
    folder = spoil(copy_of("gelu", tmp_path), "encoder.layer.2.output.LayerNorm.bias", 2e38)
    assert np.isfinite(BertModel.from_pretrained(folder)([[2, 5, 3]])[0]).all()
    with pytest.raises(CheckpointError, match="; the pooling was the first to make one"):
        SentenceTransformer(folder).encode(TEXTS)


def test_a_pooler_that_overflows_is_named_where_it_is_asked_for(tmp_path):
    output = BertModel.from_pretrained(spoil(copy_of("gelu", tmp_path), "pooler.dense.weight"))(
        [[2, 5, 3]]
    )
    assert np.isfinite(output[0]).all()
    with pytest.raises(ValueError, match="the pooler was the first to make one"):
        _ = output.pooler_output


def test_huge_numbers_inside_with_finite_vectors_are_accepted(tmp_path):
    """tanh makes 1 of infinity: the classifier's dense layer may overflow, without a word."""
    folder = copy_of("cross_encoder", tmp_path)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("pooler.dense.bias"))
    tensors[name] = np.full_like(tensors[name], 3e38)
    weight = name.replace("bias", "weight")
    tensors[weight] = np.zeros_like(tensors[weight])
    tensors["classifier.weight"] = np.ones_like(tensors["classifier.weight"])
    tensors["classifier.bias"] = np.zeros_like(tensors["classifier.bias"])
    save_file(tensors, path)
    found = CrossEncoder(folder, activation_fn="identity").predict([("a", "b")])
    np.testing.assert_array_equal(found, [[20.0] * 3])


def test_max_over_no_token_stays_minus_infinity(tmp_path, edit):
    folder = copy_of("gelu", tmp_path)
    edit(folder / "1_Pooling" / "config.json", pooling_mode=["max"], include_prompt=False)
    model = SentenceTransformer(folder)
    # "ca" is [CLS] and two tokens, and with "t" there are no more than [CLS], "cat" and [SEP].
    found = model.encode(["t", "dog"], prompt="ca")
    assert np.isneginf(found[0]).all()
    assert np.isfinite(found[1]).all()
    # But for that, a number that is none is one there, too.
    spoil(folder, "encoder.layer.1.intermediate.dense.weight")
    with pytest.raises(CheckpointError, match=r"layer 1 \(intermediate\) was the first"):
        SentenceTransformer(folder).encode(["t"], prompt="ca")


def test_a_finite_result_is_computed_once(monkeypatch):
    def again(*arguments):
        raise AssertionError("run again")

    monkeypatch.setattr("minibert.models.scheduler.FirstNotFinite", again)
    assert SentenceTransformer(GOLDEN / "gelu").encode(TEXTS).shape == (4, 20)


def test_infinity_from_several_threads_alone_is_refused(monkeypatch):
    model, compute = SentenceTransformer(GOLDEN / "gelu"), Scheduler._compute

    def overflowing(*arguments, hook=None, **named):
        results = compute(*arguments, hook=hook, **named)
        return results if hook else tuple(np.full_like(array, np.inf) for array in results)

    monkeypatch.setattr(Scheduler, "_compute", overflowing)
    with pytest.raises(CheckpointError, match="the sum of several threads was the first"):
        model.encode(TEXTS)
    with pytest.raises(CheckpointError, match="the sum of several threads was the first"):
        BertModel.from_pretrained(GOLDEN / "gelu")([[2, 5, 3]])

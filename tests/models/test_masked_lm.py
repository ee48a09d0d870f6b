"""fill_mask: the words that a model expects, and what is refused."""

import json

import numpy as np
import pytest
from golden_files import GOLDEN, copy_of
from safetensors.numpy import load_file, save_file

from minibert import BertForMaskedLM, CheckpointError, fill_mask

TEXT = "the [MASK] sat."


@pytest.fixture(scope="module")
def masked_lm():
    return BertForMaskedLM.from_pretrained(GOLDEN / "masked")


@pytest.fixture
def masked(tmp_path):
    return copy_of("masked", tmp_path)


def change(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_a_text_with_one_mask_gives_the_likeliest_words(masked_lm):
    guesses = masked_lm.fill_mask(TEXT)
    assert len(guesses) == 5
    scores = [guess["score"] for guess in guesses]
    assert scores == sorted(scores, reverse=True)
    assert 0 < sum(scores) < 1
    for guess in guesses:
        assert list(guess) == ["score", "token", "token_str", "sequence"]
        token = masked_lm.transformer.text_tokenizer.backend.id_to_token(guess["token"])
        assert guess["token_str"] == token
    whole = masked_lm.fill_mask(TEXT, top_k=1000)
    assert len(whole) == 83
    assert sum(guess["score"] for guess in whole) == pytest.approx(1, abs=1e-5)


def test_the_sequence_is_the_text_with_the_word(masked_lm):
    (guess,) = masked_lm.fill_mask(TEXT, targets="dog", top_k=1)
    assert guess["token_str"] == "dog"
    assert guess["sequence"] == "the dog sat."


def test_several_masks_give_guesses_for_each_and_keep_the_others(masked_lm):
    first, second = masked_lm.fill_mask("the [MASK] and [MASK]", top_k=2, targets=["dog", "cat"])
    assert [len(first), len(second)] == [2, 2]
    # "and" is not in the tiny vocabulary: a, ##n, ##d.
    assert {guess["sequence"] for guess in second} == {
        "[CLS] the [MASK] and dog [SEP]", "[CLS] the [MASK] and cat [SEP]"
    }  # fmt: skip


def test_masked_words_of_a_list_are_those_of_each_text_alone(masked_lm):
    texts = ["a [MASK] barks and barks and barks", TEXT]
    several = masked_lm.fill_mask(texts)
    assert [len(guesses) for guesses in several] == [5, 5]
    for text, guesses in zip(texts, several, strict=True):
        alone = masked_lm.fill_mask(text)
        assert [g["token"] for g in guesses] == [g["token"] for g in alone]
        np.testing.assert_allclose(
            [g["score"] for g in guesses], [g["score"] for g in alone], rtol=0, atol=1e-6
        )


def test_a_list_of_one_text_gives_what_the_text_gives(masked_lm):
    assert masked_lm.fill_mask([TEXT]) == masked_lm.fill_mask(TEXT)
    assert BertForMaskedLM(str(GOLDEN / "masked")).fill_mask(TEXT) == masked_lm.fill_mask(TEXT)


def test_targets_are_the_only_words_and_keep_their_probabilities(masked_lm, caplog):
    whole = {guess["token_str"]: guess["score"] for guess in masked_lm.fill_mask(TEXT, top_k=1000)}
    few = masked_lm.fill_mask(TEXT, targets=["dog", "cat", "cat"])
    assert sorted(guess["token_str"] for guess in few) == ["cat", "dog"]
    for guess in few:
        assert guess["score"] == pytest.approx(whole[guess["token_str"]], abs=1e-7)
    assert caplog.messages == []
    (guess,) = masked_lm.fill_mask(TEXT, targets=["catsing"])
    assert guess["token_str"] == "cat"
    assert caplog.messages == ["'catsing' is not in the vocabulary; 'cat' counts."]


def test_targets_in_no_order_are_taken(masked_lm):
    few = masked_lm.fill_mask(TEXT, targets=["cat", "dog"])
    assert few == masked_lm.fill_mask(TEXT, targets={"cat", "dog"})
    assert few == masked_lm.fill_mask(TEXT, targets=iter(["dog", "cat"]))


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        (5, TypeError, "targets got an int"),
        (b"cat", TypeError, "targets got a bytes"),
        ([5], TypeError, "Text 0 of 1 is an int"),
        (["cat", None], TypeError, "Text 1 of 2 is a NoneType"),
        ([("cat", "dog")], TypeError, "Text 0 of 1 is a pair"),
        (["\ud800"], ValueError, "lone surrogate"),
    ],
)
def test_targets_that_are_no_words_are_refused(masked_lm, targets, error, message):
    with pytest.raises(error, match=message):
        masked_lm.fill_mask(TEXT, targets=targets)


def test_a_target_that_cannot_be_split_is_told(masked, edit):
    edit(masked / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    content = json.loads((masked / "tokenizer.json").read_text(encoding="utf-8"))
    del content["model"]["vocab"]["[UNK]"]
    content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] != "[UNK]"]
    (masked / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    edit(masked / "tokenizer_config.json", unk_token=None, added_tokens_decoder={})
    with pytest.raises(ValueError, match="tokenizer cannot split a text"):
        BertForMaskedLM.from_pretrained(masked).fill_mask("a [MASK]", targets=["日"])


def test_fill_mask_of_a_folder_is_that_of_its_model(masked_lm):
    assert fill_mask(GOLDEN / "masked", TEXT, top_k=3) == masked_lm.fill_mask(TEXT, top_k=3)


def test_a_decoder_in_the_file_beats_the_word_embeddings(masked, masked_lm):
    decoder = masked_lm._head.decoder_weight.T * np.float32(0.5)
    change(masked, lambda t: t.update({"cls.predictions.decoder.weight": decoder.copy()}))
    other = BertForMaskedLM.from_pretrained(masked).fill_mask(TEXT, top_k=1000)
    same = masked_lm.fill_mask(TEXT, top_k=1000)
    assert abs(other[0]["score"] - same[0]["score"]) > 1e-3


def test_a_bias_is_found_under_either_name_or_is_nothing(masked, masked_lm):
    bias = np.zeros(83, dtype=np.float32)
    bias[7] = 50
    change(masked, lambda t: t.update({"cls.predictions.decoder.bias": bias}))
    assert BertForMaskedLM.from_pretrained(masked).fill_mask(TEXT)[0]["token"] == 7

    def no_bias(tensors):
        del tensors["cls.predictions.decoder.bias"], tensors["cls.predictions.bias"]

    change(masked, no_bias)
    assert (BertForMaskedLM.from_pretrained(masked)._head.decoder_bias == 0).all()


def test_a_text_without_a_mask_is_refused(masked_lm):
    with pytest.raises(ValueError, match=r"Text 1 of 2 has no \[MASK\] within 41 tokens"):
        masked_lm.fill_mask([TEXT, "the cat"])
    with pytest.raises(ValueError, match=r"Text 0 of 1 has no \[MASK\]"):
        masked_lm.fill_mask("the cat " * 50 + "[MASK]")
    for targets, message in (([], "targets is empty"), ([""], "target '' has no token")):
        with pytest.raises(ValueError, match=message):
            masked_lm.fill_mask(TEXT, targets=targets)
    with pytest.raises(TypeError, match="Text 0 of 1 is an int"):
        masked_lm.fill_mask([3])
    for nothing in (None, b"the [MASK]", 3):
        with pytest.raises(TypeError, match=r"fill_mask\(\) got a"):
            masked_lm.fill_mask(nothing)
    for top_k in (0, None):
        with pytest.raises(ValueError, match=f"top_k is {top_k}; expected a whole number"):
            masked_lm.fill_mask(TEXT, top_k=top_k)


def test_the_norm_of_the_head_has_either_name(masked):
    """A NomicBERT's is layer_norm."""
    expected = BertForMaskedLM.from_pretrained(masked).fill_mask(TEXT)
    tensors = load_file(masked / "model.safetensors")
    renamed = {
        name.replace("transform.LayerNorm", "transform.layer_norm"): tensor
        for name, tensor in tensors.items()
    }
    assert renamed.keys() != tensors.keys()
    save_file(renamed, masked / "model.safetensors")
    assert BertForMaskedLM.from_pretrained(masked).fill_mask(TEXT) == expected


def test_folders_without_the_head_are_refused(masked, edit):
    with pytest.raises(CheckpointError, match="has no head for masked words"):
        BertForMaskedLM.from_pretrained(GOLDEN / "gelu")
    edit(masked / "config.json", tie_word_embeddings=False)
    with pytest.raises(CheckpointError, match="tie_word_embeddings is false and there is no"):
        BertForMaskedLM.from_pretrained(masked)

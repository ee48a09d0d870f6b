"""Config.json in the words of each family: what is read, and what is refused."""

import numpy as np
import pytest
from golden_files import copy_of

from minibert import CheckpointError, SentenceTransformer

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

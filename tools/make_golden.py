"""Write tests/golden: tiny models, with the results of transformers and sentence-transformers.

Run in the reference environment, from the repository's root:

    sh tools/test.sh reference    # makes .venv-reference and .models
    .venv-reference/bin/python tools/make_golden.py             # all of them
    .venv-reference/bin/python tools/make_golden.py poolings    # some; the others stay as they are

The models are those of golden_models.py. The files change only in a commit that says why.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import sentence_transformers
import torch
import transformers
from golden_models import FAMILIES, SIZES, VOCABULARY, awkward, config, tokenizer
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.models import Dense, Dropout, LayerNorm, Normalize, Pooling, Transformer
from torch import nn
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
)

SEED = 20261123
VERSIONS = {
    "torch": torch.__version__,
    "transformers": transformers.__version__,
    "sentence_transformers": sentence_transformers.__version__,
    "seed": SEED,
}
OLD_TYPES = "sentence_transformers.models"
# Short and long, empty, truncated (41 positions), accents, Chinese, special tokens in a text.
TEXTS = [
    "the cat sat.",
    "",
    "Dogs, cats and London!",
    "a",
    "the dog barks at the cat, the cat barks at the dog, and the cat sat there in the end, " * 2,
    "Café 中文 ΑΩ [MASK] x[SEP]y $1.99",
    "    \t\n",
    "zzzz zz zzz z",
]


def main() -> None:
    """Write every case into a folder of its own, and the MiniLM vectors beside them."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("names", nargs="*", choices=[*CASES, *OUTPUTS, "minilm"], metavar="NAME")
    options.add_argument("--minilm", type=Path, default=Path(".models/all-MiniLM-L6-v2"))
    options.add_argument("--golden", type=Path, default=Path("tests/golden"))
    given = options.parse_args()
    names = given.names or [*CASES, *OUTPUTS, "minilm"]
    given.golden.mkdir(exist_ok=True)
    for name, make in CASES.items():
        if name in names:
            folder = emptied(given.golden / name)
            make(folder)
            np.savez_compressed(folder / "expected.npz", **expected(folder))
    for name, make in OUTPUTS.items():
        if name in names:
            folder = emptied(given.golden / name)
            np.savez_compressed(folder / "outputs.npz", **make(folder), **VERSIONS)
    write_json(given.golden / "texts.json", TEXTS)
    if "minilm" in names:
        minilm_vectors(given.minilm, given.golden)
    size = sum(file.stat().st_size for file in given.golden.rglob("*") if file.is_file())
    print(f"{given.golden}: {size / 1e6:.2f} MB")
    assert size < 3e6, "golden files must stay under 3 MB"


def emptied(folder: Path) -> Path:
    """Empty a folder, and seed the same random numbers for every case."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    torch.manual_seed(SEED)
    return folder


def save(folder: Path, model: torch.nn.Module, normalize: bool = False, words=None) -> None:
    """Save a model with mean pooling the way sentence-transformers does."""
    mean = Pooling(SIZES["hidden_size"], pooling_mode="mean")
    save_modules(folder, model, [mean] + [Normalize()] * normalize, words)


def save_modules(
    folder: Path, model: torch.nn.Module, modules: list[torch.nn.Module], words=None
) -> None:
    """Save a model with some modules after the Transformer."""
    parts = folder.parent / "parts"
    model.save_pretrained(parts)
    (words or tokenizer()).save_pretrained(parts)
    whole = SentenceTransformer(modules=[Transformer(str(parts)), *modules], device="cpu")
    whole.save_pretrained(str(folder), create_model_card=False)
    shutil.rmtree(parts)


def activation(name: str):
    """Write a case for one hidden_act, with the usual epsilon and without Normalize."""
    return lambda folder: save(folder, awkward(BertModel(config(hidden_act=name))))


def large_epsilon(folder: Path) -> None:
    """Write layer_norm_eps 1e-2, which a fixed 1e-12 or 1e-5 would miss; Normalize at the end."""
    save(folder, awkward(BertModel(config(layer_norm_eps=1e-2))), normalize=True)


def cased(folder: Path) -> None:
    """Write a vocabulary that keeps capitals and accents, without pooler."""
    save(
        folder,
        awkward(BertModel(config(), add_pooling_layer=False)),
        words=tokenizer(do_lower_case=False),
    )


def old_layout(folder: Path) -> None:
    """Write a folder of 2019: vocab.txt, gamma and beta, bert. prefix, a head, position_ids."""
    awkward(BertForMaskedLM(config())).save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    old["bert.embeddings.position_ids"] = torch.arange(41)[None]
    save_file(old, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in VOCABULARY))
    write_json(folder / "tokenizer_config.json", {"do_lower_case": True, "model_max_length": 512})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 17, "do_lower_case": False})
    (folder / "1_Pooling").mkdir()
    write_json(
        folder / "1_Pooling" / "config.json",
        {"word_embedding_dimension": 20, "pooling_mode_cls_token": False,
         "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False,
         "pooling_mode_mean_sqrt_len_tokens": False},
    )  # fmt: skip
    write_json(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": f"{OLD_TYPES}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{OLD_TYPES}.Pooling"},
        ],
    )


def sharded(folder: Path) -> None:
    """Write weights in several files with an index."""
    large_epsilon(folder)
    model = AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="25KB")


def plain(folder: Path) -> None:
    """Write a BERT without sentence-transformers: no modules.json, `bert.` before the names."""
    awkward(BertForMaskedLM(config())).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    # transformers saves and loads the prefix; without this the two layouts would be the same.
    assert any(name.startswith("bert.") for name in load_file(folder / "model.safetensors"))


def half(dtype: torch.dtype):
    """Write weights of 16 bits. The reference computes with the same values in float32."""
    return lambda folder: save(folder, awkward(BertModel(config())).to(dtype))


def family(name: str):
    """Write a case for one family beside BERT."""
    made = FAMILIES[name]
    # Gated units multiply two products, and so their rounding.
    deviation = 0.3 if name in ("modernbert", "nomic_bert") else 0.5
    return lambda folder: save(folder, awkward(made.model(), deviation), words=made.words())


CASES = {
    "gelu": activation("gelu"),
    "gelu_new": activation("gelu_new"),
    "gelu_pytorch_tanh": activation("gelu_pytorch_tanh"),
    "relu": activation("relu"),
    "silu": activation("silu"),
    "large_epsilon": large_epsilon,
    "cased": cased,
    "old_layout": old_layout,
    "sharded": sharded,
    "plain": plain,
    "float16": half(torch.float16),
    "bfloat16": half(torch.bfloat16),
    **{name: family(name) for name in FAMILIES},
}
# Intermediate arrays are large; only these two models store them.
SHOWN_INSIDE = {"gelu", "large_epsilon"}


def expected(folder: Path) -> dict[str, object]:
    """Compute the results of the reference from a folder, in float32."""
    model = SentenceTransformer(
        str(folder), device="cpu", model_kwargs={"dtype": torch.float32}, local_files_only=True
    )
    found = {
        "vectors": model.encode(TEXTS),
        "max_seq_length": model.max_seq_length,
        **VERSIONS,
    }
    bert = AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    words = AutoTokenizer.from_pretrained(folder)
    for side in ("right", "left"):
        inputs = words(
            TEXTS, padding=True, truncation=True, max_length=23, padding_side=side,
            return_tensors="pt",
        )  # fmt: skip
        with torch.no_grad():
            output = bert(**inputs, output_hidden_states=True, output_attentions=True)
        found |= {f"{side}_{name}": tensor.numpy() for name, tensor in inputs.items()}
        found[f"{side}_last_hidden_state"] = output.last_hidden_state.numpy()
        # Without a pooler in the files, transformers makes a random one.
        if side == "right" and {"pooler.dense.bias", "pooler.bias"} & bert_tensors(folder):
            found["right_pooler_output"] = output.pooler_output.numpy()
        if folder.name in SHOWN_INSIDE:
            assert len(output.attentions) == SIZES["num_hidden_layers"]
            found[f"{side}_hidden_states"] = np.stack([h.numpy() for h in output.hidden_states])
            found[f"{side}_attentions"] = np.stack([a.numpy() for a in output.attentions])
    return found


# Poolings of tests/golden/poolings: every mode alone, and some side by side.
POOLINGS = {
    **{mode: [mode] for mode in Pooling.POOLING_MODES},
    "all": list(Pooling.POOLING_MODES),
    "backwards": list(reversed(Pooling.POOLING_MODES)),
}
PROMPT = "the dog sat, "


def poolings(folder: Path) -> dict[str, object]:
    """Write one small BERT, pooled in every way, with prompts that count and that do not."""
    bert = awkward(BertModel(config(num_hidden_layers=1), add_pooling_layer=False))
    save(folder, bert)
    first, width = Transformer(str(folder)), SIZES["hidden_size"]
    found = {"prompt": PROMPT}
    for name, modes in POOLINGS.items():
        for counts in (True, False):
            pooling = Pooling(width, pooling_mode=modes, include_prompt=counts)
            model = SentenceTransformer(modules=[first, pooling], device="cpu")
            found[f"{name}/{counts}"] = model.encode(TEXTS, prompt=PROMPT)
    return found


def modules(folder: Path) -> dict[str, object]:
    """Write all modules after the pooling, in an order that shows each."""
    width = SIZES["hidden_size"]
    bert = awkward(BertModel(config(num_hidden_layers=1), add_pooling_layer=False))
    tokens = Dense(width, 9, activation_function=nn.ReLU(), module_input_name="token_embeddings")
    after = [
        Dense(9, 11, activation_function=nn.GELU(), use_residual=True),
        LayerNorm(11),
        Dense(11, 11, bias=False, activation_function=nn.Tanh(), use_residual=True),
        Dropout(0.3),
        Normalize(),
        Dense(11, 7, activation_function=nn.Sigmoid()),
    ]
    save_modules(folder, bert, [*map(awkward, [tokens, Pooling(9), *after])])
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    states = model.encode(TEXTS, output_value="token_embeddings")
    return {
        "vectors": model.encode(TEXTS),
        "states": np.concatenate([state.numpy() for state in states]),
        "lengths": [len(state) for state in states],
    }


def cross_encoder(folder: Path) -> dict[str, object]:
    """Write a classifier of three labels, on pairs with token types."""
    bert = awkward(BertForSequenceClassification(config(num_hidden_layers=1, num_labels=3)))
    bert.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    pairs = [(a, b) for a in TEXTS for b in TEXTS[:5]]
    return {"logits": model.predict(pairs, activation_fn=nn.Identity())}


def masked(folder: Path) -> dict[str, object]:
    """Write the head for masked words, with relu and a large epsilon."""
    settings = config(num_hidden_layers=1, hidden_act="relu", layer_norm_eps=1e-2)
    bert = awkward(BertForMaskedLM(settings))
    bert.save_pretrained(folder)
    words = tokenizer()
    words.save_pretrained(folder)
    inputs = words(MASKED, return_tensors="pt")
    with torch.no_grad():
        logits = bert(**inputs).logits[inputs["input_ids"] == words.mask_token_id]
    return {"text": MASKED, "probabilities": logits.softmax(-1).numpy()}


MASKED = "the [MASK] sat and a [MASK] barks."

# Cases with more than the hidden states of one model.
OUTPUTS = {
    "poolings": poolings,
    "modules": modules,
    "cross_encoder": cross_encoder,
    "masked": masked,
}


def bert_tensors(folder: Path) -> set[str]:
    """List the names of all tensors of a folder."""
    return {name for file in folder.glob("*.safetensors") for name in load_file(file)}


def minilm_vectors(folder: Path, golden: Path) -> None:
    """Compute vectors of the real all-MiniLM-L6-v2 for the texts of tests/minilm_texts.py."""
    from minilm_texts import MINILM_TEXTS

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    # One at a time: in a batch, the reference's own padding moves a vector by 2e-7.
    vectors = np.stack([model.encode(text) for text in MINILM_TEXTS])
    np.savez_compressed(
        golden / "minilm.npz",
        vectors=vectors,
        **VERSIONS,
    )


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

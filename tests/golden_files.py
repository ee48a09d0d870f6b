"""Where the golden models and the real MiniLM lie, and what the reference made of the first."""

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

GOLDEN = Path(__file__).parent / "golden"
MINILM = Path(__file__).parent.parent / ".models" / "all-MiniLM-L6-v2"
# For the golden cross-encoder.
PAIRS = [("the cat", "a dog barks"), ("the dog sat.", ""), ("", "London"), ("the cat", "the cat")]


# What git leaves in place of a file that git-lfs keeps elsewhere, until it is fetched.
LFS_POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


# transformers' own names of NomicBERT's tensors: what saves with save_original_format=False writes.
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


REMOVED = object()  # the value that makes `edit_json` take a key away


def edit_json(path, **changes):
    """Change keys of a JSON file, and make it where there is none."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = {key: value for key, value in (content | changes).items() if value is not REMOVED}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept), encoding="utf-8")


def copy_of(name, tmp_path):
    target = tmp_path / name
    shutil.copytree(GOLDEN / name, target)
    return target


def dot_copy(tmp_path):
    """A copy of a golden model for the dot product, whose vectors have all lengths."""
    folder = copy_of("gelu_new", tmp_path)  # no Normalize module
    edit_json(folder / "config_sentence_transformers.json", similarity_fn_name="dot")
    return folder


def one_label_copy(tmp_path):
    """A copy of the golden cross-encoder with the first of its three labels alone."""
    folder = copy_of("cross_encoder", tmp_path)
    edit_json(folder / "config.json", id2label={"0": "LABEL_0"})
    path = folder / "model.safetensors"
    tensors = load_file(path)
    for name in ("classifier.weight", "classifier.bias"):
        tensors[name] = tensors[name][:1].copy()
    save_file(tensors, path)
    return folder


def expected_of(name):
    """What the reference computed from a golden model."""
    with np.load(GOLDEN / name / "expected.npz") as arrays:
        return dict(arrays)


def outputs_of(name):
    """What it computed of a golden model with more than a BERT and its mean."""
    with np.load(GOLDEN / name / "outputs.npz") as arrays:
        return dict(arrays)


def even_copy(name, tmp_path):
    """A copy whose heads and feed-forward fall into two shares: 4 and 36 instead of 5 and 37."""
    folder = copy_of(name, tmp_path)
    fewer = {5: 4, 37: 36}
    path = folder / "config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings = {
        key: fewer.get(value, value) if type(value) is int else value
        for key, value in settings.items()
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    tensors = load_file(folder / "model.safetensors")
    for key, tensor in tensors.items():
        kept = tuple(slice(fewer.get(length, length)) for length in tensor.shape)
        tensors[key] = tensor[kept].copy()
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "model.safetensors")
    return folder


def spoil(folder, name, number=3e38, file="model.safetensors"):
    """Fill a tensor of a folder with a number that is none too large to be stored."""
    path = folder / file
    tensors = load_file(path)
    (found,) = [stored for stored in tensors if stored.endswith(name)]
    signs = np.where(np.arange(tensors[found].size) % 3, 1, -1).reshape(tensors[found].shape)
    tensors[found] = (number * signs).astype(np.float32)
    save_file(tensors, path)
    return folder


def change_tensors(folder, change):
    """Rewrite the weights of a folder after change(tensors)."""
    path = folder / "model.safetensors"
    tensors = dict(load_file(path))
    change(tensors)
    path.unlink()  # never over a file that may be mapped
    save_file(tensors, path, metadata={"format": "pt"})


def nomic_with_own_names(tmp_path, prefix=""):
    """A copy of the golden NomicBERT under transformers' own names, with q, k and v apart."""
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
    (folder / "model.safetensors").unlink()
    save_file(
        {prefix + name: tensor for name, tensor in tensors.items()}, folder / "model.safetensors"
    )
    return folder

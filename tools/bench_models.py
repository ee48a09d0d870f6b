"""Models for tools/bench.py, and the same models as graphs for its peers.

A random BERT-base is as good as a trained one for speed: the products are the same.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / ".models"
MINILM = MODELS / "all-MiniLM-L6-v2"

SIZES = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
MODULE = "sentence_transformers.models."


def find(name):
    """Find the folder of "minilm", "bert-base" or a path."""
    if name == "minilm":
        if not MINILM.exists():
            subprocess.run([sys.executable, ROOT / "tools" / "fetch_minilm.py"], check=True)
        return MINILM
    if name == "bert-base":
        folder = MODELS / "random-bert-base"
        if not (folder / "model.safetensors").exists():
            make_bert_base(folder)
        return folder
    return Path(name)


def make_bert_base(folder):
    """Write a BERT-base of random weights, with mean pooling and MiniLM's vocabulary."""
    from safetensors.numpy import save_file

    words = find("minilm")
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(words / name, folder / name)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    write(folder / "tokenizer_config.json", {**settings, "model_max_length": 512})
    write(folder / "config.json", {
        "model_type": "bert", "architectures": ["BertModel"], "hidden_act": "gelu",
        "layer_norm_eps": 1e-12, "pad_token_id": 0, "position_embedding_type": "absolute", **SIZES,
    })  # fmt: skip
    write(folder / "sentence_bert_config.json", {"max_seq_length": 512, "do_lower_case": False})
    write(folder / "1_Pooling" / "config.json", {
        "word_embedding_dimension": 768, "pooling_mode_mean_tokens": True
    })  # fmt: skip
    write(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": MODULE + "Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": MODULE + "Pooling"},
    ])  # fmt: skip
    random = np.random.default_rng(0)
    tensors = {}
    for name, shape in shapes():
        if name.endswith("LayerNorm.weight"):
            tensors[name] = np.ones(shape, dtype=np.float32)
        elif name.endswith("bias"):
            tensors[name] = np.zeros(shape, dtype=np.float32)
        else:
            tensors[name] = random.normal(0, 0.05, shape).astype(np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def shapes():
    """List the names and shapes of a BERT's tensors."""
    hidden, inner = SIZES["hidden_size"], SIZES["intermediate_size"]

    def dense(name, out, into):
        return [(f"{name}.weight", (out, into)), (f"{name}.bias", (out,))]

    def norm(name):
        return [(f"{name}.LayerNorm.weight", (hidden,)), (f"{name}.LayerNorm.bias", (hidden,))]

    yield "embeddings.word_embeddings.weight", (SIZES["vocab_size"], hidden)
    yield "embeddings.position_embeddings.weight", (SIZES["max_position_embeddings"], hidden)
    yield "embeddings.token_type_embeddings.weight", (SIZES["type_vocab_size"], hidden)
    yield from norm("embeddings")
    for number in range(SIZES["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        for part in ("query", "key", "value"):
            yield from dense(f"{layer}.attention.self.{part}", hidden, hidden)
        yield from dense(f"{layer}.attention.output.dense", hidden, hidden)
        yield from norm(f"{layer}.attention.output")
        yield from dense(f"{layer}.intermediate.dense", inner, hidden)
        yield from dense(f"{layer}.output.dense", hidden, inner)
        yield from norm(f"{layer}.output")
    yield from dense("pooler.dense", hidden, hidden)


def write(path, content):
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def graphs_of(folder):
    """Return the folder for the graphs of a model's folder."""
    return MODELS / "graphs" / Path(folder).resolve().name


def make_graphs(folder, peers):
    """Make the files of the peers, once: an ONNX graph, fused, of 8 bits, CTranslate2's format.

    Return {peer: reason} for each peer that failed.
    """
    failed = {}
    for peer in peers:
        if peer in MAKERS:
            name, make = MAKERS[peer]
            path = graphs_of(folder) / name
            try:
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    make(folder, path)
            except Exception as error:  # a peer that fails is a line in the report
                failed[peer] = f"{type(error).__name__}: {str(error).splitlines()[0]:.200}"
    return failed


def export(folder, path):
    """Export the BERT as an ONNX graph: tokens in, the states after the last layer out."""
    import torch
    from transformers import AutoModel

    class States(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = AutoModel.from_pretrained(
                folder, dtype=torch.float32, attn_implementation="eager"
            ).eval()

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state

    ids = torch.ones((2, 9), dtype=torch.int64)
    ids[1, 5] = 7
    names = ["input_ids", "attention_mask", "token_type_ids"]
    shape = {0: "batch", 1: "tokens"}
    torch.onnx.export(
        States(), (ids, torch.ones_like(ids), torch.zeros_like(ids)), str(path),
        input_names=names, output_names=["last_hidden_state"],
        dynamic_axes=dict.fromkeys([*names, "last_hidden_state"], shape),
        opset_version=17, dynamo=False,
    )  # fmt: skip


def plain_graph(folder, path):
    """Return the plain graph that lies beside another one, which is made from it."""
    plain = path.with_name("model.onnx")
    if not plain.exists():
        export(folder, plain)
    return plain


def fuse(folder, path):
    """Fuse the graph with ONNX Runtime's own fusions of a BERT."""
    from onnxruntime.transformers import optimizer

    plain = plain_graph(folder, path)
    config = json.loads((folder / "config.json").read_text())
    model = optimizer.optimize_model(
        str(plain), model_type="bert", num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
    )  # fmt: skip
    if not model.is_fully_optimized():
        raise RuntimeError("the optimizer left steps of the BERT unfused")
    model.save_model_to_file(str(path))


def to_int8(folder, path):
    """Convert the graph to weights of 8 bits."""
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    plain = plain_graph(folder, path)
    quantize_dynamic(
        str(plain), str(path), weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )  # fmt: skip


def to_ctranslate2(folder, path):
    """Convert the model to CTranslate2's own format."""
    import ctranslate2

    ctranslate2.converters.TransformersConverter(str(folder)).convert(str(path.parent), force=True)


# A peer -> the file that it opens, and the function that makes the file.
MAKERS = {
    "ONNX Runtime": ("model.onnx", export),
    "ONNX Runtime fused": ("fused.onnx", fuse),
    "ONNX Runtime int8": ("int8.onnx", to_int8),
    "OpenVINO": ("model.onnx", export),
    "CTranslate2": ("ctranslate2/model.bin", to_ctranslate2),
}

"""Run one implementation of a sentence model in a process of its own, on request.

    python tools/bench_peers.py PEER FOLDER THREADS

It reads one JSON object per line, {"texts": [...], "calls": 1, "callers": 1, "vectors": false}, and
encodes the texts `calls` times; several callers have a thread each. It writes {"seconds": [...]},
one number per call; with "vectors", also the path of their file. tools/bench.py starts it.
"""

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from bench_models import graphs_of

BATCH = 32  # texts, of the peers that pad


class Minibert:
    """This library."""

    requires = ("minibert-numpy",)
    imports = "from minibert import SentenceTransformer"
    options = {"on_long": "ignore"}  # noqa: RUF012

    def __init__(self, folder, threads):
        from minibert import SentenceTransformer

        self.model = SentenceTransformer(folder, threads=threads, **self.options)

    def encode(self, texts):
        return self.model.encode(texts, show_progress_bar=False)


class Reproducible(Minibert):
    """This library with the same bits for a text beside any neighbours."""

    options = {"on_long": "ignore", "reproducible": True}  # noqa: RUF012


class SentenceTransformers:
    """sentence-transformers, on torch."""

    requires = ("sentence-transformers",)
    imports = "from sentence_transformers import SentenceTransformer"

    def __init__(self, folder, threads):
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        self.model = SentenceTransformer(folder, device="cpu", local_files_only=True)

    def encode(self, texts):
        return self.model.encode(texts, batch_size=BATCH, show_progress_bar=False)


class Padded:
    """Shared parts of the peers that run a graph: tokenizer, batches sorted by length, mean.

    A deployment without sentence-transformers works like this. Its Python is a thousandth of the
    time.
    """

    def __init__(self, folder):
        from tokenizers import Tokenizer

        settings = json.loads(Path(folder, "sentence_bert_config.json").read_text())
        modules = Path(folder, "modules.json").read_text()
        self.normalize = "Normalize" in modules
        self.tokenizer = Tokenizer.from_file(str(Path(folder, "tokenizer.json")))
        self.tokenizer.enable_truncation(settings["max_seq_length"])
        self.tokenizer.no_padding()

    def encode(self, texts):
        rows = [row.ids for row in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(rows)), key=lambda number: -len(rows[number]))
        vectors = [None] * len(rows)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            ids = np.zeros((len(batch), len(rows[batch[0]])), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, number in enumerate(batch):
                ids[row, : len(rows[number])] = rows[number]
                mask[row, : len(rows[number])] = 1
            hidden = self.hidden(ids, mask)
            weights = mask[:, :, None].astype(np.float32)
            means = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
            if self.normalize:
                means /= np.linalg.norm(means, axis=1, keepdims=True)
            for row, number in enumerate(batch):
                vectors[number] = means[row]
        return np.array(vectors)


class OnnxRuntime(Padded):
    """ONNX Runtime on the graph as it was exported."""

    requires = ("onnxruntime", "tokenizers")
    imports = "import onnxruntime, tokenizers"
    graph = "model.onnx"

    def __init__(self, folder, threads):
        super().__init__(folder)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(graphs_of(folder) / self.graph), options, providers=["CPUExecutionProvider"]
        )

    def hidden(self, ids, mask):
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return self.session.run(None, inputs)[0]


class OnnxRuntimeFused(OnnxRuntime):
    """ONNX Runtime on the graph of onnxruntime.transformers' optimizer."""

    graph = "fused.onnx"


class OnnxRuntimeInt8(OnnxRuntime):
    """ONNX Runtime on that graph with weights of 8 bits: faster, with other vectors."""

    graph = "int8.onnx"


class OpenVino(Padded):
    """OpenVINO, restricted to float32."""

    requires = ("openvino", "tokenizers")
    imports = "import openvino, tokenizers"

    def __init__(self, folder, threads):
        super().__init__(folder)
        import openvino

        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        self.model = core.compile_model(str(graphs_of(folder) / "model.onnx"), "CPU", settings)
        self.local = threading.local()

    def hidden(self, ids, mask):
        if not hasattr(self.local, "request"):
            self.local.request = self.model.create_infer_request()
        self.local.request.infer(
            {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        )
        return self.local.request.get_output_tensor(0).data


class CTranslate2(Padded):
    """CTranslate2 in float32. It takes tokens without padding."""

    requires = ("ctranslate2", "tokenizers")
    imports = "import ctranslate2, tokenizers"

    def __init__(self, folder, threads):
        super().__init__(folder)
        import ctranslate2

        self.model = ctranslate2.Encoder(
            str(graphs_of(folder) / "ctranslate2"), intra_threads=threads, compute_type="float32"
        )

    def hidden(self, ids, mask):
        rows = [row[:length].tolist() for row, length in zip(ids, mask.sum(axis=1), strict=True)]
        return np.array(self.model.forward_batch(rows).last_hidden_state)


PEERS = {
    "minibert": Minibert,
    "minibert reproducible": Reproducible,
    "sentence-transformers": SentenceTransformers,
    "ONNX Runtime": OnnxRuntime,
    "ONNX Runtime fused": OnnxRuntimeFused,
    "ONNX Runtime int8": OnnxRuntimeInt8,
    "OpenVINO": OpenVino,
    "CTranslate2": CTranslate2,
}


def timed(peer, texts, calls):
    """Measure the seconds of each call, and return the last one's vectors."""
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        vectors = peer.encode(texts)
        seconds.append(time.perf_counter() - start)
    return seconds, vectors


def answer(peer, job):
    """Do one job."""
    if job.get("callers", 1) > 1:
        threads = [
            threading.Thread(target=timed, args=(peer, job["texts"], job["calls"]))
            for _ in range(job["callers"])
        ]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"seconds": [time.perf_counter() - start]}
    seconds, vectors = timed(peer, job["texts"], job.get("calls", 1))
    if not job.get("vectors"):
        return {"seconds": seconds}
    with tempfile.NamedTemporaryFile(suffix=".npy", delete=False) as file:
        np.save(file, vectors)
    return {"seconds": seconds, "vectors": file.name}


def main():
    """Answer until there are no more lines."""
    name, folder, threads = sys.argv[1:]
    # Output that libraries print must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = PEERS[name](folder, int(threads))
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(peer, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()

"""A separate program: pickled weights -> safetensors, with torch, which loads only data.

minibert never opens a pickle, and never imports this file. `minibert convert` runs it in another
process, with a Python that has torch, numpy and safetensors. That Python needs no minibert.

Standard input is a JSON list of pairs: a pickle's path, and the path of the new file. Standard
output is a JSON object: {"written": a description of each file}, or one key that names the failure.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

# In older releases, a file could run code in spite of weights_only=True: CVE-2025-32434 and
# CVE-2026-24747.
OLDEST_TORCH = (2, 10)


class ConversionError(Exception):
    """Failure that ends the program: its kind, and a sentence."""


def main() -> None:
    """Convert all pairs, or report the first failure."""
    source = ""
    written = []
    try:
        check_libraries()
        for source, target in json.load(sys.stdin):
            written.append(converted(source, target))
        report: dict[str, object] = {"written": written}
    except ConversionError as failure:
        kind, sentence = failure.args
        report = {kind: f"{source} {sentence}".lstrip()}
    print(json.dumps(report))


def check_libraries() -> None:
    """Raise ConversionError if a library is missing, or torch is too old to be safe."""
    try:
        import torch

        if tuple(map(int, re.findall(r"\d+", torch.__version__)[:2])) < OLDEST_TORCH:
            oldest = ".".join(map(str, OLDEST_TORCH))
            raise ConversionError("missing", f"torch {torch.__version__} is older than {oldest}")
        import numpy  # noqa: F401  # safetensors needs it to write
        import safetensors.torch  # noqa: F401
    except ImportError as error:
        raise ConversionError("missing", str(error)) from error


def converted(source: str, target: str) -> dict[str, Any]:
    """Write one file: -> names and bytes of its tensors, and types of the entries left out."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    content = loaded(source)
    tensors = {name: plain(name, entry) for name, entry in content.items() if is_tensor(entry)}
    left_out = {str(k): type(entry).__name__ for k, entry in content.items() if k not in tensors}
    if not tensors:
        entries = ", ".join(f"{name} ({kind})" for name, kind in list(left_out.items())[:5])
        raise ConversionError("refused", f"holds no tensors by name, but {entries or 'nothing'}")
    try:
        save_file(tensors, target, metadata={"format": "pt"})
    except KeyError as error:
        raise ConversionError(
            "refused", f"has tensors of the type {error}; safetensors has none"
        ) from error
    except (SafetensorError, OSError) as error:
        raise ConversionError("unwritten", f"cannot be written as safetensors: {error}") from error
    size = sum(tensor.nbytes for tensor in tensors.values())
    return {"names": list(tensors), "bytes": size, "left_out": left_out}


def loaded(source: str) -> dict[Any, Any]:
    """Load a pickle that torch accepts as data, and that holds a dict.

    Raises ConversionError for any other.
    """
    import torch

    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle is a program: a broken one can raise anything
        raise ConversionError("refused", reason(error)) from error
    if not isinstance(content, dict):
        raise ConversionError("refused", f"holds a {type(content).__name__}, no tensors by name")
    return content


def reason(error: Exception) -> str:
    """Reason why torch did not load a file. Its own text also advises to run the file's code."""
    text = str(error)
    if found := re.search(r"GLOBAL ([\w.]+)", text):
        return f"asks for {found[1]}; torch takes only tensors and plain data from a pickle"
    if "weights_only" in text:
        found = re.search(r"WeightsUnpickler error:\s*([^\n]{,200})", text)
        text = found[1].strip() if found else "more than tensors is in it"
    line = (text.strip().splitlines() or ["it ends too soon"])[0]
    return f"is damaged, or no pickle of tensors alone ({type(error).__name__}: {line[:200]})"


def is_tensor(entry: object) -> bool:
    """Return whether an entry of the pickle is a tensor."""
    import torch

    return isinstance(entry, torch.Tensor)


def plain(name: object, tensor: Any) -> Any:
    """Copy a tensor to its own memory, row after row, as safetensors needs it.

    Raises ConversionError for a name that is no text, and for a tensor without plain numbers.
    """
    import torch

    if not isinstance(name, str):
        raise ConversionError("refused", f"has a tensor whose name is {name!r}, which is no text")
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
        raise ConversionError(
            "refused", f"has {name!r}, which is sparse, quantised or without numbers"
        )
    # A copy of each: safetensors refuses tensors that share their memory, as tied ones do.
    return tensor.detach().clone(memory_format=torch.contiguous_format)


if __name__ == "__main__":
    main()

"""Model card of a trained model: a README.md whose Training section says how it was made.

The section has the form of sentence-transformers' cards: the batches, the loss, the parameters of
the call, the architecture. Start at model_card.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from minibert.bert.load import Checkpoint
from minibert.checkpoint.folder import Folder
from minibert.checkpoint.hub import hub_name
from minibert.common.arguments import fullname

__all__ = ["BatchFacts", "Described", "batches_of", "model_card", "training_section"]

# Keys of a README's YAML that stay true of a model that was trained further.
KEPT_KEYS = ("license", "license_name", "license_link")
# Values of them that are copied: valid in YAML as they are, without quotes.
PLAIN = re.compile(r"[A-Za-z][\w.+/-]*(?::[\w.+/-]+)*")
YAML_BLOCK = re.compile(r"\s*---[ \t]*\n(.*?\n)---[ \t]*(?:\n|$)", re.DOTALL)
NAME_ON_THE_HUB = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


class Described(Protocol):
    """A model, as far as its card describes it."""

    folder: Folder  # that it was loaded from

    @property
    def checkpoint(self) -> Checkpoint: ...  # the tensors that were loaded

    def get_embedding_dimension(self) -> int: ...

    def __iter__(self) -> Iterator[object]: ...


class BatchFacts(NamedTuple):
    """Facts about the batches of one objective."""

    name: str  # of their class, with its module
    length: int  # number of batches in an epoch
    parameters: Mapping[str, object]  # such as the batch size


def model_card(model: Described, training: str) -> str:
    """Write the README.md of a model: its license and base, its use, `training`, its modules."""
    base = base_model(model)
    title = f"SentenceTransformer based on {base}" if base else "SentenceTransformer"
    return f"""---
{front_matter(model.folder.path, base)}---

# {title}

This is a [sentence-transformers](https://www.SBERT.net) model. It turns a text into a vector of
{model.get_embedding_dimension()} dimensions, for semantic search or clustering.

## Usage

```python
from minibert import SentenceTransformer

model = SentenceTransformer("path/of/this/folder")
vectors = model.encode(["This is an example sentence", "Each sentence is converted"])
```

The folder also opens in sentence-transformers, with the same vectors.

{training}
## Full Model Architecture
```
{architecture(model)}
```
"""


def training_section(
    objectives: Sequence[tuple[BatchFacts, object]], parameters: Mapping[str, object]
) -> str:
    """Write the Training section: each pair of batches and loss, and the parameters of fit()."""
    parts = [part for batches, loss in objectives for part in (told(batches), loss_told(loss))]
    listed = json.dumps(parameters, indent=4, sort_keys=True, ensure_ascii=False, default=str)
    return "\n".join(
        [
            "## Training",
            "The model was trained with the parameters:\n",
            *(f"{part}\n" for part in parts),
            f"Parameters of the fit()-Method:\n```\n{listed}\n```\n",
        ]
    )


def told(batches: BatchFacts) -> str:
    """Write the paragraph about the batches of one objective."""
    name, length, parameters = batches
    return f"""**DataLoader**:

`{name}` of length {length} with parameters:
```
{dict(parameters)}
```"""


def loss_told(loss: object) -> str:
    """Write the paragraph about a loss, with its parameters if it has any."""
    settings: dict[str, object] = getattr(loss, "get_config_dict", dict)()
    name = f"**Loss**:\n\n`{fullname(loss)}`"
    return f"{name} with parameters:\n  ```\n  {settings}\n  ```" if settings else name


def batches_of(loader: object, length: int) -> BatchFacts:
    """Collect the facts about any iterable of batches, those of torch's DataLoader too."""
    own = getattr(loader, "get_config_dict", None)
    parameters: dict[str, object] = {"batch_size": getattr(loader, "batch_size", "unknown")}
    for name in ("sampler", "batch_sampler"):
        if hasattr(loader, name):
            parameters[name] = fullname(getattr(loader, name))
    return BatchFacts(fullname(loader), length, parameters if own is None else own())


def architecture(model: Described) -> str:
    """List the modules of a model with their settings, without the paths of their folders."""
    transformer, *modules = model
    bert = str(model.checkpoint.settings.get("architectures"))
    bert = name[1] if (name := re.fullmatch(r"\['(\w+)'\]", bert)) else "BertModel"
    keys = ("max_seq_length", "do_lower_case")
    lines = [f"{module_told(transformer, keys)} with Transformer model: {bert}"]
    # The settings of all other modules are named tuples.
    lines += [module_told(module, getattr(module, "_fields", ())) for module in modules]
    numbered = [f"  ({number}): {line}" for number, line in enumerate(lines)]
    return "\n".join(["SentenceTransformer(", *numbered, ")"])


def module_told(module: object, keys: Sequence[str]) -> str:
    """Write a module's class and its settings."""
    settings = {key: getattr(module, key) for key in keys if key != "path"}
    return f"{type(module).__name__}({settings})"


def base_model(model: Described) -> str | None:
    """Name on the hub of the model that the training started from, None if it is not known."""
    path = model.folder.path
    name = hub_name(path, path) or model.checkpoint.name_or_path or ""
    return name if NAME_ON_THE_HUB.fullmatch(name) else None


def front_matter(folder: Path, base: str | None) -> str:
    """Write the card's YAML: for the hub, with the license that the folder's own card gives."""
    lines = [*kept_lines(folder / "README.md"), *([f"base_model: {base}"] if base else [])]
    tags = ["sentence-transformers", "feature-extraction", "sentence-similarity"]
    lines += ["library_name: sentence-transformers", "pipeline_tag: sentence-similarity", "tags:"]
    return "".join(f"{line}\n" for line in [*lines, *(f"- {tag}" for tag in tags)])


def kept_lines(readme: Path) -> list[str]:
    """Read the lines of KEPT_KEYS in a card's YAML; a value of any unusual form is left out."""
    if not readme.is_file():
        return []
    block = YAML_BLOCK.match(readme.read_text("utf-8", errors="replace"))
    found = re.findall(r"^(\w+):[ \t]+([\"']?)(.*?)\2[ \t]*$", block[1] if block else "", re.M)
    return [
        f"{key}: {value}" for key, _, value in found if key in KEPT_KEYS and PLAIN.fullmatch(value)
    ]

"""Write the table of names in docs/drop-in.md: sentence-transformers' public names, and minibert's.

Run in the reference environment, from the repository's root:

    .venv-reference/bin/python tools/make_drop_in.py

It imports both packages and compares names, members of the models, and parameters. A name that
minibert lacks needs a reason in REASONS. tests/reference/test_drop_in_table.py runs the same.
"""

import argparse
import inspect
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import sentence_transformers
import torch

from minibert.integrations import sentence_transformers as stand_in

PAGE = Path(__file__).parents[1] / "docs" / "drop-in.md"
BEGIN = "<!-- written by tools/make_drop_in.py -->\n"
END = "<!-- end of the table -->\n"
# Modules that are described first, under the names that programs use: name -> place in 6.2.
FIRST = {
    "": "",
    "util": "util",
    "quantization": "util.quantization",
    "models": "sentence_transformer.modules",
    "losses": "sentence_transformer.losses",
    "evaluation": "sentence_transformer.evaluation",
    "readers": "sentence_transformer.readers",
    "datasets": "sentence_transformer.datasets",
}
MODELS = ("SentenceTransformer", "CrossEncoder", "SimilarityFunction")  # whose members are compared

# Why minibert lacks a name, or the way there is instead -> the names, as patterns of fnmatch. A
# member is `Class.member`, a parameter `function(parameter)`.
REASONS: dict[str, tuple[str, ...]] = {
    "Sparse vectors and late interaction are not here yet.": (
        *("SparseEncoder*", "MultiVectorEncoder*", "SimilarityFunction.*MAXSIM"),
        *("sparse_encoder.*", "multi_vector_encoder.*"),
        *("util.compute_count_vector", "util.select_max_active_dims", "util.to_scipy_coo"),
        *("*Transformer(query_length)", "*Transformer(document_length)"),
        "*Transformer(query_expansion)",
    ),
    "The trainer of transformers needs torch. Instead: `fit`, or `minibert.training.fit`.": (
        *("*Trainer", "*TrainingArguments", "*DataCollator", "*BatchSampler*", "base.*Sampler"),
        *("base.MultiDatasetBatchSamplers", "CrossEncoder.fit", "CrossEncoder.old_fit"),
        *(
            "*.smart_batching_collate*",
            "*.gradient_checkpointing_enable",
        ),
        *("util.is_training_available", "util.is_accelerate_available", "base.losses.*"),
        *("util.is_datasets_available", "util.check_teacher_targets", "util.similarity_fct_name"),
    ),
    "The model card is written by `minibert.training`, from its own data.": (
        *("*ModelCardData", "*.model_card_data_class"),
    ),
    "Adapters (PEFT) are not read. Merge them into the weights first.": (
        *("*.*adapter*", "*peft*", "*Peft*"),
    ),
    "Tensors and modules of torch, which are not used here.": (
        *("util.all_gather*", "util.append_to_last_row", "util.batch_to_device"),
        *("util.cat_padded_*", "util.repad_*", "util.stack_padded_*", "util.get_rank"),
        *("util.get_world_size", "util.is_dist_initialized", "*.clear_placement_cache"),
        *("*.set_keep_in_fp32_modules", "CrossEncoder.model", "CrossEncoder.transformers_model"),
    ),
    "Code named in a folder is never run, so nothing is imported by such a name.": (
        *("util.import_from_string", "util.import_module_class"),
    ),
    "Internal to the reference.": (
        *("util.save_to_hub_args_decorator", "util.check_package_availability"),
        *("util.check_version_requirements", "util.ORIGINAL_TRANSFORMER_MODELS"),
        *("util.disable_datasets_caching", "base.BaseModel"),
    ),
    "`logging.basicConfig` does it.": ("util.install_logger",),
    "`huggingface_hub.utils.disable_progress_bars` does it.": ("util.disabled_tqdm",),
    "`datasets.Dataset.map` joins tables, before they are given to `fit`.": ("resolve_ids",),
    "Faiss is not used: search here is exact.": ("quantization.semantic_search_faiss",),
    "ONNX and OpenVINO are not used: there is one way to compute.": (*("export_*", "backend.*"),),
    "The file's own format is read by `csv` or `json`, into `InputExample`.": ("readers.*",),
    "Datasets of torch. `fit` takes lists, and `minibert.training.Dataset`.": (
        *("datasets.*", "SentencesDataset", "ParallelSentencesDataset"),
    ),
    "Layers of torch that no model of the supported families has.": (
        *("models.CNN", "models.LSTM", "models.CLIPModel", "models.Module", "models.InputModule"),
    ),
    "Words of a list, without a BERT: `models.StaticEmbedding` is today's table of tokens.": (
        *("models.BoW", "models.WordEmbeddings", "models.WordWeights"),
        "sentence_transformer.modules.tokenizer.*",
    ),
    "Questions and documents go through the same modules; a folder with two ways is refused.": (
        *("models.Router", "models.Asym"),
    ),
    "A part is opened as transformers wrote it; texts are its only input.": (
        *("models.Transformer(transformer_task)", "models.Transformer(*_kwargs)"),
        *("models.Transformer(backend)", "models.Transformer(modality_config)"),
        *("models.Transformer(module_output_name)", "models.Transformer(unpad_inputs)"),
        *("models.Transformer(tokenizer_name_or_path)", "models.Normalize(module_output_name)"),
        *("models.Dense(init_*)", "models.Dense(module_output_name)"),
    ),
    "Two SentenceTransformers are merged, no cross-encoders.": ("CrossEncoder.merge",),
    "`preprocess` gives the tokens of texts.": ("*.get_sentence_features",),
    "Its weights are in its folder, which it is opened from.": (
        *("models.StaticEmbedding(*)", "models.WeightedLayerPooling(layer_weights)"),
    ),
    "Cross-encoders that are decoders are not read.": ("cross_encoder.modules.LogitScore",),
    "This loss is not here yet.": (
        *("losses.AdaptiveLayerLoss", "losses.SoftmaxLoss", "losses.Matryoshka2dLoss"),
        *("losses.*GISTEmbedLoss", "losses.CachedMultipleNegativesSymmetricRankingLoss"),
        *("losses.ContrastiveTension*", "losses.AnglELoss", "losses.OnlineContrastiveLoss"),
        *("losses.MegaBatchMarginLoss", "losses.DenoisingAutoEncoderLoss"),
        *("losses.GlobalOrthogonalRegularizationLoss", "losses.Batch*", "losses.DistillKLDivLoss"),
        *("losses.EmbedDistillLoss", "cross_encoder.losses.*"),
    ),
}


class Missing(NamedTuple):
    """A name that minibert lacks."""

    name: str  # "util.http_get", "CrossEncoder.fit" or "models.Dense(init_bias)"
    reason: str  # of REASONS, or ""


class Module(NamedTuple):
    """One module of the reference: its names that minibert has, and the others."""

    name: str  # below the package; "" for the package itself
    there: list[str]  # names
    missing: list[str]  # names, members and parameters


def main() -> int:
    """Write the page. Returns 1 if a name has no reason, or a reason no name."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    modules = compared()
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), modules), encoding="utf-8")
    for name in unexplained(modules):
        print(f"no reason: {name}", file=sys.stderr)
    for pattern in unneeded(modules):
        print(f"no such name is missing: {pattern}", file=sys.stderr)
    return int(bool(unexplained(modules) or unneeded(modules)))


def compared() -> list[Module]:
    """Compare all modules that have an `__all__`; an object is described at its first place."""
    seen: set[int] = set()
    return [compare(name, place, seen) for name, place in places().items()]


def places() -> dict[str, str]:
    """Find modules of the reference: name in the table -> place below the package."""
    walked = pkgutil.walk_packages(sentence_transformers.__path__, "sentence_transformers.")
    packages = [info.name.partition(".")[2] for info in walked if info.ispkg]
    others = {name: name for name in sorted(packages) if name not in FIRST.values()}
    found = {**FIRST, **others}
    return {name: place for name, place in found.items() if public(module_of(place))}


def module_of(place: str) -> object:
    """Import a module of the reference."""
    with warnings.catch_warnings(action="ignore"):
        return import_module(f"sentence_transformers.{place}".rstrip("."))


def public(module: object) -> list[str]:
    """Return public names of a module: those of `__all__`, or its own functions and classes."""
    names = getattr(module, "__all__", None)
    if names is None and hasattr(module, "__path__"):
        return []
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
    return sorted(name for name in names or own if not name.startswith("_"))


def compare(name: str, place: str, seen: set[int]) -> Module:
    """Compare one module with the stand-in's."""
    reference = module_of(place)
    ours = stand_in.names_of(name) if stand_in.has_module(name) else {}
    ours = {key: where for key, where in ours.items() if where != stand_in.HERE}
    there, missing = [], []
    for key in public(reference):
        theirs = getattr(reference, key)
        full = f"{name}.{key}".lstrip(".")
        is_new = id(theirs) not in seen
        if key in ours:
            there.append(key)
            found = getattr(import_module(ours[key]), key)
            missing += list(differences(full, theirs, found)) if is_new else []
        elif is_new:
            missing.append(full)
    seen.update(id(getattr(reference, key)) for key in public(reference))
    return Module(name, there, missing)


def is_annotated(kind: object, member: str) -> bool:
    """Return whether a class says that its objects have an attribute."""
    return any(member in vars(base).get("__annotations__", {}) for base in inspect.getmro(kind))


def differences(name: str, theirs: object, ours: object) -> Iterator[str]:
    """Yield members and parameters that minibert's object of a name lacks."""
    yield from parameters(name, theirs, ours)
    if name in MODELS:
        for member in members(theirs):
            if not (hasattr(ours, member) or is_annotated(ours, member)):
                yield f"{name}.{member}"
            elif hasattr(ours, member):
                pair = getattr(theirs, member), getattr(ours, member)
                yield from parameters(f"{name}.{member}", *pair)


def members(kind: type) -> list[str]:
    """Return public members of a class that are not those of every module of torch."""
    common = {*dir(torch.nn.Sequential), *dir(str)}
    return sorted(name for name in dir(kind) if not name.startswith("_") and name not in common)


def parameters(name: str, theirs: object, ours: object) -> Iterator[str]:
    """Yield the reference's parameters that a function of minibert does not take."""
    wanted, taken = signature(theirs), signature(ours)
    if any(kind is inspect.Parameter.VAR_KEYWORD for kind in taken.values()):
        return  # it passes them on
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    for parameter, kind in wanted.items():
        if parameter not in taken and kind not in variable:
            yield f"{name}({parameter})"


def signature(function: object) -> dict[str, object]:
    """Return names and kinds of a function's parameters; {} for anything else."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {parameter.name: parameter.kind for parameter in found}


def explained(modules: list[Module]) -> list[Missing]:
    """Return all missing names, with their reasons."""
    names = [name for module in modules for name in module.missing]
    return [Missing(name, reason_of(name)) for name in names]


def reason_of(name: str) -> str:
    """Return the first reason whose patterns match a name, or ""."""
    for reason, patterns in REASONS.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return reason
    return ""


def unexplained(modules: list[Module]) -> list[str]:
    """Return missing names without a reason."""
    return [name for name, reason in explained(modules) if not reason]


def unneeded(modules: list[Module]) -> list[str]:
    """Return patterns of reasons that match no missing name."""
    names = [name for module in modules for name in module.missing]
    patterns = [pattern for found in REASONS.values() for pattern in found]
    return [p for p in patterns if not any(fnmatchcase(name, p) for name in names)]


def table(modules: list[Module]) -> str:
    """Return both tables: the names that are there, and the others with their reasons."""
    count = sum(len(module.there) for module in modules)
    lines = [
        f"These {count} names are there, with all members of the models, and all parameters, that",
        "the second table does not name:",
        "",
        "| In `sentence_transformers` | Names |",
        "|---|---|",
    ]
    for module in modules:
        if module.there:
            place = f"`.{module.name}`" if module.name else "itself"
            lines.append(f"| {place} | {listed(module.there)} |")
    lines += ["", "These are not:", "", "| Names | Reason, or what to do |", "|---|---|"]
    missing = explained(modules)
    for reason in [*REASONS, ""]:
        whole = [m for m in modules if not m.there and {*map(reason_of, m.missing)} == {reason}]
        inside = {name for module in whole for name in module.missing}
        names = [name for name, found in missing if found == reason and name not in inside]
        cells = [f"all of `.{module.name}`" for module in whole] + [listed(names)] * bool(names)
        if cells:
            lines.append(f"| {', '.join(cells)} | {reason} |")
    return "\n".join(lines) + "\n"


def listed(names: list[str]) -> str:
    """Join names as code, with commas."""
    return ", ".join(f"`{name}`" for name in names)


def with_table(page: str, modules: list[Module]) -> str:
    """Return the page with the tables between its two marks."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table(modules)}\n{END}{after}"


if __name__ == "__main__":
    sys.exit(main())

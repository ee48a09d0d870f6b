"""The exact modules that an import loads, and public names that load late."""

import json
import subprocess
import sys

import pytest
from golden_files import GOLDEN

import minibert
import minibert.evaluation
import minibert.models
from minibert import SentenceTransformer

# A module that is added here is one more that every program waits for.
LOADED = {
    *("minibert", "minibert.errors"),
    *("minibert.models", "minibert.models.model", "minibert.models.sentence_transformer"),
    *("minibert.models.reference_names", "minibert.models.sentence_names"),
    "minibert.models.signatures",
    *("minibert.checkpoint", "minibert.checkpoint.metric"),
    *("minibert.scoring", "minibert.scoring.metrics", "minibert.scoring.quantization"),
    *("minibert.scoring.similarity", "minibert.tokens", "minibert.tokens.texts"),
    *("minibert.tokens.truncation", "minibert.kernels", "minibert.kernels.activations"),
    *("minibert.kernels.cpu", "minibert.kernels.protocol", "minibert.kernels.segments"),
    *("minibert.common", "minibert.common.arguments", "minibert.common.arrays"),
    *("minibert.common.progress",),
}


def loaded_by(statement):
    """Our modules that a statement loads, in a process of its own."""
    program = f"{statement}; import sys, json; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return {name for name in json.loads(result.stdout) if name.split(".")[0] == "minibert"}


def test_the_common_import_loads_these_modules_and_no_other():
    assert loaded_by("from minibert import SentenceTransformer, dot_score") == LOADED


def test_the_package_alone_loads_its_errors():
    assert loaded_by("import minibert") == {"minibert", "minibert.errors"}


def test_the_names_of_util_load_nothing_of_training():
    loaded = loaded_by("from minibert.util import semantic_search")
    assert not any(name.startswith("minibert.training") for name in loaded)


def test_the_names_of_evaluation_load_none_of_them():
    assert loaded_by("import minibert.evaluation") == {
        *("minibert", "minibert.errors", "minibert.evaluation")
    }


def test_the_names_of_the_reference_s_models_load_none_of_them():
    assert loaded_by("import minibert.models") == {"minibert", "minibert.errors", "minibert.models"}


@pytest.mark.parametrize("package", [minibert, minibert.evaluation, minibert.models])
def test_every_lazy_name_is_public_and_listed(package):
    assert set(package.LAZY_NAMES) <= set(package.__all__) <= set(dir(package))
    for name in package.LAZY_NAMES:
        assert getattr(package, name) is not None


@pytest.mark.parametrize("package", [minibert, minibert.evaluation, minibert.models])
def test_a_name_that_is_not_there_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no .* 'nothing'"):
        _ = package.nothing


def test_the_names_of_models_are_the_classes_of_a_model():
    from minibert.models import Dense, Dropout, LayerNorm, Normalize, Pooling, Transformer

    kinds = {type(module) for module in SentenceTransformer(GOLDEN / "modules")}
    assert kinds == {Transformer, Dense, Pooling, Dropout, LayerNorm, Normalize}


def test_modules_have_the_reference_s_names_at_the_root():
    from minibert.cross_encoder import CrossEncoder
    from minibert.quantization import quantize_embeddings
    from minibert.util import semantic_search

    assert CrossEncoder is minibert.CrossEncoder
    assert quantize_embeddings is minibert.quantize_embeddings
    assert semantic_search is minibert.semantic_search

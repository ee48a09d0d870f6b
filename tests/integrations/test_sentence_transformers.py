"""The stand-in for sentence-transformers: its names, its refusals, and other processes."""

import importlib
import importlib.metadata
import importlib.util
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minibert
from minibert import CrossEncoder, SentenceTransformer, util
from minibert.integrations.sentence_transformers import FOLDER, MODULES, install


@pytest.fixture
def python_as_it_was(monkeypatch):
    """Undo what install() does to this process."""
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(SentenceTransformer, "__module__", SentenceTransformer.__module__)
    before = {name: sys.modules.pop(name) for name in stand_ins()}
    yield
    for name in stand_ins():
        del sys.modules[name]
    sys.modules.update(before)


@pytest.fixture
def replaced(python_as_it_was):
    """The module sentence_transformers, after install()."""
    install(force=True)
    return importlib.import_module("sentence_transformers")


@pytest.fixture
def other_package(python_as_it_was, tmp_path, monkeypatch):
    """A package of this name that is not minibert's, in a folder on the path."""
    file = tmp_path / "sentence_transformers" / "__init__.py"
    file.parent.mkdir()
    file.write_text("SentenceTransformer = 'another'\n")
    monkeypatch.syspath_prepend(tmp_path)
    return file


def stand_ins():
    return [name for name in sys.modules if name.split(".")[0] == "sentence_transformers"]


def run_python(*arguments, path=FOLDER, **options):
    """Run Python with a folder before all others on its path."""
    paths = f"{path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        **{"capture_output": True, "text": True, "timeout": 60, **options},
        env={**os.environ, "PYTHONPATH": paths},
    )


def test_names_of_the_package_are_minibert_s_own(replaced):
    from sentence_transformers import CrossEncoder as PairScorer
    from sentence_transformers import SentenceTransformer as Encoder

    assert Encoder is SentenceTransformer
    assert PairScorer is CrossEncoder
    assert replaced.util.cos_sim is util.cos_sim
    assert replaced.losses.CoSENTLoss is minibert.losses.CoSENTLoss
    assert {"SentenceTransformer", "CrossEncoder", "__version__"} <= set(dir(replaced))


def test_every_name_of_every_module_can_be_imported(replaced):
    for below in MODULES:
        module = importlib.import_module(f"sentence_transformers.{below}".rstrip("."))
        found = {name: getattr(module, name) for name in module.__all__}
        assert found or below == "base", below


@pytest.mark.parametrize(
    ("module", "name", "expected"),
    [
        ("SentenceTransformer", "SentenceTransformer", SentenceTransformer),
        ("cross_encoder.CrossEncoder", "CrossEncoder", CrossEncoder),
        ("sentence_transformer.model", "SentenceTransformer", SentenceTransformer),
        ("models.Pooling", "Pooling", minibert.models.Pooling),
        ("losses.CoSENTLoss", "CoSENTLoss", minibert.losses.CoSENTLoss),
        ("readers.InputExample", "InputExample", minibert.InputExample),
        ("util.similarity", "cos_sim", util.cos_sim),
    ],
)
def test_modules_of_both_layouts_hide_no_class(replaced, module, name, expected):
    imported = importlib.import_module(f"sentence_transformers.{module}")
    assert getattr(imported, name) is expected
    assert replaced.SentenceTransformer is SentenceTransformer
    assert replaced.cross_encoder.CrossEncoder is CrossEncoder
    assert replaced.models.Pooling is minibert.models.Pooling


def test_a_star_import_gives_the_names_of_all(replaced):
    names = {}
    exec("from sentence_transformers.util import *", names)
    assert names["cos_sim"] is util.cos_sim
    assert names.keys() - {"__builtins__"} == set(util.__all__)


def test_a_missing_attribute_is_an_error_that_names_minibert(replaced):
    message = r"sentence_transformers\.Nothing is not in minibert"
    with pytest.raises(AttributeError, match=message):
        replaced.Nothing  # noqa: B018
    with pytest.raises(ImportError, match=message):
        from sentence_transformers import Nothing  # noqa: F401
    assert not hasattr(replaced, "__nothing__")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("SentenceTransformerTrainer", "Train with model.fit(), "),
        ("CrossEncoderTrainingArguments", "Train with model.fit(), "),
        ("Nothing", "Leave the part of the program out that needs it. "),
    ],
)
def test_a_missing_name_s_error_says_what_to_do(replaced, name, advice):
    with pytest.raises(AttributeError) as raised:
        getattr(replaced, name)
    assert f"stands in for sentence-transformers here. {advice}" in str(raised.value)


def test_a_missing_module_is_an_error_that_names_minibert(replaced):
    with pytest.raises(ModuleNotFoundError, match=r"nothing is not in minibert") as raised:
        import sentence_transformers.nothing  # noqa: F401
    # BERTopic takes an error of this name for a missing package, and goes on with another model.
    assert raised.value.name is None


def test_a_class_that_minibert_lacks_is_refused_when_it_is_made(replaced):
    with pytest.raises(minibert.MissingLibraryError, match="SparseEncoder is not in minibert"):
        replaced.SparseEncoder("a-model")


def test_tools_that_look_for_the_package_find_it(replaced):
    assert importlib.util.find_spec("sentence_transformers") is replaced.__spec__
    assert importlib.metadata.version("sentence-transformers") == replaced.__version__ == "6.2.0"
    assert importlib.metadata.version("sentence_transformers") == "6.2.0"
    assert importlib.metadata.version("numpy")
    packages = importlib.metadata.packages_distributions()
    assert packages["sentence_transformers"] == ["sentence-transformers"]
    assert replaced.__file__.startswith(str(FOLDER))


def test_a_package_that_is_replaced_is_listed_once(other_package):
    metadata = other_package.parent.parent / "sentence_transformers-5.0.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: sentence-transformers\nVersion: 5.0.0\n")
    install(force=True)
    listed = [one.metadata["Name"] for one in importlib.metadata.distributions()]
    assert listed.count("sentence-transformers") == 1
    assert importlib.metadata.version("sentence-transformers") == "6.2.0"


def test_a_model_made_before_is_an_instance(python_as_it_was, folder, texts):
    model = SentenceTransformer(folder)
    install(force=True)
    from sentence_transformers import SentenceTransformer as Encoder

    assert isinstance(model, Encoder)
    # KeyBERT and BERTopic look for these words, and else take another model in silence.
    assert "sentence_transformers" in str(type(model))
    again = pickle.loads(pickle.dumps(model))
    assert (again.encode(texts) == model.encode(texts)).all()


def test_a_second_install_changes_nothing(replaced):
    before = [*sys.meta_path], [*sys.path]
    install()
    assert (sys.meta_path, sys.path) == before
    assert sys.modules["sentence_transformers"] is replaced


def test_an_installed_package_is_left_alone(other_package):
    with pytest.raises(ImportError, match="itself is installed here") as raised:
        install()
    assert str(other_package) in str(raised.value)
    assert "install(force=True)" in str(raised.value)
    assert importlib.import_module("sentence_transformers").SentenceTransformer == "another"


def test_an_imported_package_is_left_alone_or_replaced(other_package):
    imported = importlib.import_module("sentence_transformers")
    other_package.unlink()
    with pytest.raises(ImportError, match="itself is installed here"):
        install()
    install(force=True)
    assert importlib.import_module("sentence_transformers") is not imported
    assert imported.SentenceTransformer == "another"


def test_a_folder_that_only_has_the_name_is_no_package(other_package):
    other_package.unlink()
    install()
    from sentence_transformers import SentenceTransformer as Encoder

    assert Encoder is SentenceTransformer


SPAWNING = """
import multiprocessing
{install}

def version(_):
    import sentence_transformers.util
    from sentence_transformers import SentenceTransformer
    return sentence_transformers.__version__ + " " + SentenceTransformer.encode.__module__

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(*pool.map(version, [0]))
"""


@pytest.mark.slow
def test_a_spawned_process_finds_the_stand_in(tmp_path):
    line = "from minibert.integrations.sentence_transformers import install; install(force=True)"
    script = tmp_path / "spawning.py"
    guarded = f"if __name__ == '__main__':\n    {line}"  # not in the new process
    script.write_text(SPAWNING.format(install=guarded))
    done = run_python(script, path=tmp_path)
    assert done.stdout == "6.2.0 minibert.models.sentence_transformer\n", done.stderr


@pytest.mark.slow
def test_a_path_with_the_folder_is_enough_for_a_process(tmp_path):
    done = run_python("-c", "import sentence_transformers.util as u; print(u.cos_sim.__module__)")
    assert done.stdout == "minibert.scoring.similarity\n", done.stderr


@pytest.mark.slow
def test_the_block_of_the_page_prints_what_it_shows(folder):
    page = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
    section = page.split("\n## sentence-transformers\n")[1].split("\n## ")[0]
    program, shown = re.findall(r"```(?:python|text)\n(.*?)```", section, re.DOTALL)
    program = program.replace("sentence-transformers/all-MiniLM-L6-v2", str(folder))
    done = run_python("-c", program)
    assert done.stdout == shown, done.stderr

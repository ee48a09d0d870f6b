"""What modules.json may say, and what is refused by name."""

import json

import numpy as np
import pytest
from module_folders import OLD, POOLING, refused, with_modules

from minibert import SentenceTransformer
from minibert.checkpoint.folder import read_folder
from minibert.common.json_files import inside
from minibert.pooling.normalize import Normalize


def write_modules(folder, *types):
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [
        {"idx": n, "name": str(n), "path": paths.get(kind.rpartition(".")[2], ""), "type": kind}
        for n, kind in enumerate(types)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))


def test_old_and_new_names_of_modules_mean_the_same(folder):
    assert Normalize() not in read_folder(folder).modules
    write_modules(folder, OLD + "Transformer", OLD + "Pooling", OLD + "Normalize")
    # The reference writes no folder for Normalize, either.
    assert read_folder(folder).modules[-1] == Normalize()
    np.testing.assert_allclose(np.linalg.norm(SentenceTransformer(folder).encode("a")), 1, 1e-6)


def test_a_transformer_in_a_folder_of_its_own_is_found(folder):
    inner = folder / "0_Transformer"
    inner.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).rename(inner / name)
    (folder / "sentence_bert_config.json").rename(inner / "sentence_bert_config.json")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert SentenceTransformer(folder).encode("a").shape == (20,)


@pytest.mark.parametrize(
    ("types", "message"),
    [
        (
            ["Transformer", "Pooling", "CNN"],
            "there is a CNN after the Transformer; .* Pooling, Dense",
        ),
        (["Transformer", "Pooling", "Transformer"], "there is a Transformer after the Transformer"),
        (
            ["Transformer", "Pooling", "Pooling"],
            "modules are Transformer, Pooling, Pooling; .* one",
        ),
        (
            ["Transformer", "Dropout", "Pooling"],
            "modules are Transformer, Dropout, Pooling; .* one",
        ),
        (
            ["Pooling", "Transformer"],
            "Pooling comes first; minibert expects a Transformer or a StaticEmbedding there",
        ),
        (["BERT", "Pooling"], "BERT comes first"),
        (["Transformer"], "modules are Transformer; without a Pooling"),
        ([], "no module comes first"),
    ],
)
def test_modules_that_do_not_run_are_refused_by_name(folder, types, message):
    write_modules(folder, *(OLD + kind for kind in types))
    refused(folder, message)


def test_code_outside_sentence_transformers_is_never_imported(folder):
    write_modules(folder, "os.system", OLD + "Pooling")
    refused(folder, "'os.system' is code outside sentence-transformers")


@pytest.mark.parametrize("modules", [[7], [{"path": ""}], [{"type": 3}]])
def test_a_module_without_type_is_refused(folder, modules):
    (folder / "modules.json").write_text(json.dumps(modules))
    refused(folder, "is no module; expected a type and a path")


def test_a_module_path_that_leaves_the_folder_is_refused(folder):
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["path"] = "../1_Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    refused(folder, r"'\.\./1_Pooling', which leaves the model's folder")


@pytest.mark.parametrize("name", ["", "a", "a/b", "a..b"])
def test_names_inside_the_folder_are_paths(tmp_path, name):
    assert inside(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("1_Pooling\\", r"names '1_Pooling\\\\', which has a backslash. Names are written with /"),
        ("a\\b", "which has a backslash"),
        ("..\\a", "leaves the model's folder"),
        ("C:\\a", "leaves the model's folder"),
        ("../a", "leaves the model's folder"),
        ("/a", "leaves the model's folder"),
        ("a\0b", "is no name of a file"),
        (7, "names '7', which is no name of a file"),
        ("x" * 5000, "cannot be read: File name too long"),
    ],
)
def test_bad_paths_of_modules_are_refused_with_the_reason(folder, path, message):
    with_modules(folder, POOLING)
    entries = json.loads((folder / "modules.json").read_text())
    entries[1]["path"] = path
    (folder / "modules.json").write_text(json.dumps(entries))
    refused(folder, message)


@pytest.mark.parametrize("names", [["0", "0"], ["0", None], ["0", 1]])
def test_names_of_modules_that_are_none_are_refused(folder, names):
    with_modules(folder, POOLING)
    entries = json.loads((folder / "modules.json").read_text())
    for entry, name in zip(entries, names, strict=True):
        entry["name"] = name
    (folder / "modules.json").write_text(json.dumps(entries))
    refused(folder, r"modules\.json: a module's name is .*; expected a text that no other has")

"""minibert convert, where there is no torch: refusals, files, links, and what failures leave.

In torch's place is a program that copies: `pytorch_model.bin` is a safetensors file in most tests
here. Pickles and torch itself are in tests/reference/test_convert_live.py.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from golden_files import GOLDEN, copy_of
from pickled_folders import shards_of, tree
from safetensors.numpy import load_file, save_file

import minibert
from minibert import CheckpointError
from minibert.commands import cli
from minibert.errors import MissingLibraryError, OutputError

LEFTOVERS = ["training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "last.ckpt"]

COPYING = """
import json, shutil, sys
from safetensors.numpy import load_file
written = []
for source, target in json.load(sys.stdin):
    tensors = load_file(source)
    shutil.copyfile(source, target)
    size = sum(tensor.nbytes for tensor in tensors.values())
    written.append({"names": list(tensors), "bytes": size, "left_out": {"epoch": "int"}})
print("a library's own word")
print(json.dumps({"written": written}))
"""


def pickled(folder, to="pytorch_model.bin"):
    """Call a folder's weights a pickle."""
    (folder / "model.safetensors").rename(folder / to)
    return folder


@pytest.fixture
def stand_in(tmp_path):
    """What stands in for a Python with torch: a program of some text, under its own name."""

    def make(text):
        program = tmp_path / "a python"
        program.write_text(f"#!{sys.executable}\n{text}")
        program.chmod(0o755)
        return program

    return make


@pytest.fixture
def copying(stand_in):
    return stand_in(COPYING)


@pytest.fixture
def run(capsys):
    """Run `minibert convert`: -> its exit code, stdout and stderr."""

    def run(*words):
        code = cli.main(["convert", *map(str, words)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A Python without any library, so without torch."""
    program = tmp_path / "bare"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S -E "$@"\n')
    program.chmod(0o755)
    return program


# what refuses a pickle names the command


@pytest.mark.parametrize("name", ["plain", "it's a model", "-x", 'two "quotes" $HOME'])
@pytest.mark.parametrize(
    ("golden", "opens"),
    [
        ("gelu", minibert.SentenceTransformer),
        ("cross_encoder", minibert.CrossEncoder),
        ("gelu", minibert.AutoModel.from_pretrained),
        ("masked", minibert.BertForMaskedLM.from_pretrained),
    ],
)
def test_a_pickle_is_refused_with_the_command(tmp_path, monkeypatch, name, golden, opens):
    folder = tmp_path / name
    shutil.copytree(GOLDEN / golden, folder)
    before = tree(pickled(folder))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="never opens one") as error:
        opens(folder)
    words = shlex.split("minibert convert" + str(error.value).partition("minibert convert")[2])
    out = os.path.join(".", "-x-safetensors") if name == "-x" else f"{name}-safetensors"
    assert words == ["minibert", "convert", str(folder), out]
    assert tree(folder) == before
    assert sorted(os.listdir(tmp_path)) == [name]


def test_a_pickle_that_convert_does_not_take_offers_no_command(folder):
    pickled(folder, "pytorch_model.fp16.bin")
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors\.$"):
        minibert.SentenceTransformer(folder)


def test_a_model_of_a_cache_is_offered_under_its_name(cache, no_network):
    snapshot = cache("someone/the-model", GOLDEN / "gelu")
    (snapshot / "model.safetensors").rename(snapshot / "pytorch_model.bin")
    before = tree(cache.root)
    with pytest.raises(CheckpointError) as error:
        minibert.SentenceTransformer("someone/the-model", local_files_only=True)
    expected = f"minibert convert {snapshot} the-model-safetensors"
    assert str(error.value).endswith(expected)
    assert tree(cache.root) == before


@pytest.mark.parametrize("module", ["0_Transformer", "3_Dense"])
def test_a_pickle_of_a_module_offers_the_whole_model(tmp_path, module, edit):
    folder = copy_of("modules", tmp_path)
    if module == "0_Transformer":
        modules = json.loads((folder / "modules.json").read_text())
        modules[0]["path"] = module
        (folder / "modules.json").write_text(json.dumps(modules))
        (folder / module).mkdir()
        for file in folder.iterdir():
            if file.is_file() and file.name not in ("modules.json", "outputs.npz"):
                file.rename(folder / module / file.name)
    pickled(folder / module)
    with pytest.raises(CheckpointError) as error:
        minibert.SentenceTransformer(folder)
    assert f"{folder / module} has its weights in pytorch_model.bin only" in str(error.value)
    assert str(error.value).endswith(f"minibert convert {folder} modules-safetensors")


def test_no_advice_writes_into_the_model_s_own_folder():
    for path in [*Path(minibert.__file__).parent.rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert "save_pretrained(FOLDER" not in text, path
        assert "save_pretrained('FOLDER" not in text, path


def test_a_lone_sentencepiece_model_offers_another_folder(tmp_path, monkeypatch):
    folder = copy_of("xlm_roberta", tmp_path)
    (folder / "tokenizer.json").unlink()
    (folder / "sentencepiece.bpe.model").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is missing") as error:
        minibert.SentenceTransformer(folder)
    command = "python -c" + str(error.value).partition("python -c")[2]
    *_, program, source, out = shlex.split(command)
    assert (source, out) == (str(folder), "xlm_roberta-tokenizer")
    assert f"copy {os.path.join(out, 'tokenizer.json')}, nothing else" in str(error.value)
    compile(program, "the advice", "exec")


# without torch


def test_without_torch_the_commands_that_bring_it_are_printed(run, folder, tmp_path, bare):
    before = tree(pickled(folder))
    code, out, err = run(folder, tmp_path / "out", "--python", bare)
    assert (code, out) == (69, "")
    assert "No module named 'torch'" in err
    install, conversion = (shlex.split(part) for part in err[err.rindex(": ") :].split(" && "))
    libraries = ["torch", "numpy", "safetensors"]
    assert install[1:] == [str(bare), "-m", "pip", "install", "--upgrade", *libraries]
    assert conversion == [
        *("minibert", "convert", str(folder), str(tmp_path / "out"), "--python", str(bare))
    ]
    assert tree(folder) == before
    assert sorted(os.listdir(tmp_path)) == ["bare", "gelu"]


def test_this_python_without_torch_gets_an_environment(folder, tmp_path, monkeypatch, bare):
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(MissingLibraryError) as error:
        minibert.convert(pickled(folder), tmp_path / "out", revision="v1 or so")
    first, second, third = (shlex.split(part) for part in str(error.value).split(" && "))
    assert first[-4:] == [str(bare), "-m", "venv", "torch-env"]
    assert second[0] == third[-1] == os.path.join("torch-env", "bin", "python")
    assert third[-4:-1] == ["--revision", "v1 or so", "--python"]


def test_a_torch_in_which_pickles_could_run_code_is_refused(run, folder, tmp_path, own_torch):
    program = own_torch("__version__ = '2.9.1+cpu'")
    code, _, err = run(pickled(folder), tmp_path / "out", "--python", program)
    assert code == 69
    assert "torch 2.9.1+cpu is older than 2.10" in err


@pytest.fixture
def own_torch(tmp_path, stand_in):
    """A Python whose torch is a file of a test's own: own_torch(text)."""
    libraries = tmp_path / "libraries"
    (libraries / "safetensors").mkdir(parents=True)
    (libraries / "safetensors" / "__init__.py").write_text("class SafetensorError(Exception): ...")
    (libraries / "safetensors" / "torch.py").write_text("save_file = None")
    (libraries / "numpy.py").write_text("")

    def make(text):
        (libraries / "torch.py").write_text(text)
        path = f"import runpy, sys; sys.path.insert(0, {str(libraries)!r})"
        return stand_in(f"{path}; runpy.run_path(sys.argv[2], {{}}, '__main__')")

    return make


def test_torch_is_asked_for_nothing_but_data(run, folder, tmp_path, own_torch):
    program = own_torch("""
__version__ = "2.10.0"
def load(path, map_location, weights_only):
    raise ValueError("only data" if weights_only is True else "whatever is in it")
""")
    code, _, err = run(pickled(folder), tmp_path / "out", "--python", program)
    assert code == 65
    assert err == (
        f"minibert: {folder / 'pytorch_model.bin'} is damaged, or no pickle of tensors alone "
        "(ValueError: only data). Nothing of it was run or written.\n"
    )


def test_a_python_that_is_none_is_named(run, folder, tmp_path):
    pickled(folder)
    code, _, err = run(folder, tmp_path / "out", "--python", tmp_path / "nope")
    assert (code, err) == (66, f"minibert: {str(tmp_path / 'nope')!r}: No such file or directory\n")
    code, _, err = run(folder, tmp_path / "out", "--python", "false")
    assert code == 69
    assert "false did not run the program" in err
    assert os.listdir(tmp_path) == ["gelu"]


# where it writes


@pytest.mark.parametrize("kind", ["file", "folder", "full", "dangling", "link"])
def test_a_new_folder_that_exists_is_left_alone(run, folder, tmp_path, copying, kind):
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("kept")
    elif kind in ("dangling", "link"):
        out.symlink_to(tmp_path / "nowhere" if kind == "dangling" else folder)
    else:
        out.mkdir()
    if kind == "full":
        (out / "kept").write_text("kept")
    pickled(folder)
    before = tree(tmp_path)
    code, stdout, err = run(folder, out, "--python", copying)
    assert (code, stdout) == (73, "")
    assert err == f"minibert: cannot create {str(out)!r}: it exists, and nothing is written over\n"
    assert tree(tmp_path) == before


@pytest.mark.parametrize("parent", ["nowhere", "config.json"])
def test_a_new_folder_in_no_folder_cannot_be_created(run, folder, parent, copying):
    code, _, err = run(pickled(folder), folder / parent / "out", "--python", copying)
    assert code == 73
    assert f"there is no folder {str(folder / parent)!r}" in err


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="a folder of Linux")
def test_a_folder_that_takes_no_other_cannot_have_it(run, folder, copying):
    code, _, err = run(pickled(folder), "/proc/self/out", "--python", copying)
    assert code == 73
    assert "cannot create '/proc/self/out': No such file" in err


@pytest.mark.parametrize("through_a_link", [False, True])
def test_the_model_s_own_folder_is_not_written_to(run, folder, copying, tmp_path, through_a_link):
    (folder / "1_Pooling").mkdir(exist_ok=True)
    before = tree(pickled(folder))
    place = folder / "1_Pooling"
    if through_a_link:
        place = tmp_path / "elsewhere"
        place.symlink_to(folder)
    code, _, err = run(folder, place / "out", "--python", copying)
    assert code == 73
    assert "which is only read" in err
    assert tree(folder) == before


def test_the_cache_of_a_model_is_not_written_to(cache, run, copying):
    snapshot = cache("someone/model", GOLDEN / "gelu")
    pickled(snapshot)
    before = tree(cache.root)
    code, _, _ = run(snapshot, snapshot.parent.parent / "blobs" / "out", "--python", copying)
    assert code == 73
    assert tree(cache.root) == before


def test_a_folder_that_came_meanwhile_is_not_replaced(run, folder, tmp_path, stand_in):
    quicker = stand_in(f"import os; os.mkdir({str(tmp_path / 'out')!r})\n{COPYING}")
    code, _, err = run(pickled(folder), tmp_path / "out", "--python", quicker)
    assert code == 73
    assert "it exists" in err
    assert os.listdir(tmp_path / "out") == []
    assert sorted(os.listdir(tmp_path)) == ["a python", "gelu", "out"]


# what it writes


def test_all_files_are_copied_and_the_pickle_is_not(run, folder, tmp_path, copying):
    (folder / "vocab.txt").write_text("kept as it is, \r\n")
    weights = (folder / "model.safetensors").read_bytes()
    before = tree(pickled(folder))
    code, out, err = run(folder, tmp_path / "out", "--python", copying)
    after = tree(tmp_path / "out")
    assert code == 0
    assert after.pop("model.safetensors")[0] == weights
    files = {name: found[0] for name, found in before.items() if name != "pytorch_model.bin"}
    assert {name: found[0] for name, found in after.items()} == files
    assert tree(folder) == before
    count = len(load_file(tmp_path / "out" / "model.safetensors"))
    copied = sum(content is not False for content in files.values())
    assert out == (
        f"{tmp_path / 'out'}: {count} tensors in model.safetensors; {copied} other files copied as "
        "they are\n"
    )
    assert (
        err == "minibert: pytorch_model.bin: epoch was left out: no tensor, but of the type int.\n"
    )


def test_the_new_folder_opens_with_the_same_vectors(folder, tmp_path, copying, caplog):
    expected = minibert.SentenceTransformer(GOLDEN / "gelu").encode(["the cat"])
    converted = minibert.convert(pickled(folder), tmp_path / "out", python=copying)
    assert converted.folder == tmp_path / "out"
    assert converted.weights == ("model.safetensors",)
    assert (minibert.SentenceTransformer(tmp_path / "out").encode(["the cat"]) == expected).all()


def test_others_may_read_the_weights_like_the_other_files(run, folder, tmp_path, stand_in):
    careful = stand_in(f"import os; os.umask(0o077)\n{COPYING}")
    assert run(pickled(folder), tmp_path / "out", "--python", careful)[0] == 0
    modes = {(tmp_path / "out" / n).stat().st_mode for n in ("config.json", "model.safetensors")}
    assert len(modes) == 1


def test_pickles_of_other_things_are_left_out_by_name(run, folder, tmp_path, copying):
    for name in LEFTOVERS:
        # Protocol 2, which torch writes, and protocol 0, which begins like a text.
        (folder / name).write_bytes(b"\x80\x02}q\x00." if name.endswith(".bin") else b"(dp0\n.")
    (folder / "openvino").mkdir()
    (folder / "openvino" / "openvino_model.bin").write_bytes(b"raw")
    code, _, err = run(pickled(folder), tmp_path / "out", "--python", copying)
    assert code == 0
    for name in LEFTOVERS:
        assert f"minibert: {name} was left out: a pickle" in err
        assert not (tmp_path / "out" / name).exists()
    assert (tmp_path / "out" / "openvino" / "openvino_model.bin").read_bytes() == b"raw"


def test_quiet_says_nothing_of_what_was_left_out(run, folder, tmp_path, copying):
    code, _, err = run(pickled(folder), tmp_path / "out", "--python", copying, "--quiet")
    assert (code, err) == (0, "")


def test_safetensors_beside_a_pickle_count(run, tmp_path, copying):
    folder = copy_of("modules", tmp_path)
    pickled(folder / "3_Dense")
    shutil.copy(folder / "3_Dense" / "pytorch_model.bin", folder / "pytorch_model.bin")
    code, out, err = run(folder, tmp_path / "out", "--python", copying)
    assert code == 0
    assert "pytorch_model.bin was left out: model.safetensors beside it counts" in err
    assert "in 3_Dense/model.safetensors;" in out
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


def test_safetensors_of_an_adapter_count(run, folder, tmp_path, copying):
    shutil.copy(folder / "model.safetensors", folder / "adapter_model.safetensors")
    (folder / "adapter_model.bin").write_bytes(b"")
    code, _, err = run(pickled(folder), tmp_path / "out", "--python", copying)
    assert code == 0
    assert "adapter_model.bin was left out: adapter_model.safetensors beside it counts" in err


def test_shards_become_shards_with_an_index(run, tmp_path, copying):
    source = copy_of("sharded", tmp_path)
    index = json.loads((source / "model.safetensors.index.json").read_text())
    shards_of(source, lambda index: index["metadata"].update(total_size=7, note="kept"))
    assert run(source, tmp_path / "out", "--python", copying)[0] == 0
    names = {path.name for path in (tmp_path / "out").iterdir() if "model" in path.name}
    assert names == {*index["weight_map"].values(), "model.safetensors.index.json"}
    made = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    shards = (tmp_path / "out").glob("model-*")
    size = sum(tensor.nbytes for shard in shards for tensor in load_file(shard).values())
    assert made["weight_map"] == index["weight_map"]
    assert made["metadata"] == {**index["metadata"], "total_size": size, "note": "kept"}
    model = minibert.AutoModel.from_pretrained(tmp_path / "out")
    assert model.config.hidden_size


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda index: index["weight_map"].update(x="pytorch_model-9.bin"), "is not beside it"),
        (lambda index: index["weight_map"].update(x="../gelu/x.bin"), "is not beside it"),
        (lambda index: index.pop("weight_map"), "weight_map is missing"),
        (lambda index: index["weight_map"].update(x=7), "weight_map is missing"),
        (
            lambda index: index["weight_map"].update(x="pytorch_model-00001-of-00003.bin"),
            "names the tensor 'x', which no shard holds",
        ),
    ],
)
def test_an_index_that_is_not_of_its_shards_is_refused(run, tmp_path, copying, change, said):
    folder = shards_of(copy_of("sharded", tmp_path), change)
    code, _, err = run(folder, tmp_path / "out", "--python", copying)
    assert code == 65
    assert said in err
    assert sorted(os.listdir(tmp_path)) == ["a python", "sharded"]


def test_a_tensor_in_two_shards_is_refused(run, tmp_path, copying):
    folder = shards_of(copy_of("sharded", tmp_path))
    first, second, _ = sorted(folder.glob("pytorch_model-*"))
    name, tensor = next(iter(load_file(first).items()))
    save_file({**load_file(second), name: tensor}, second)
    code, _, err = run(folder, tmp_path / "out", "--python", copying)
    assert code == 65
    assert f"two shards hold the tensor {name!r}" in err


def test_shards_without_an_index_are_refused(run, tmp_path, copying):
    folder = shards_of(copy_of("sharded", tmp_path))
    (folder / "pytorch_model.bin.index.json").unlink()
    code, _, err = run(folder, tmp_path / "out", "--python", copying)
    assert code == 65
    assert "pytorch_model.bin.index.json is missing" in err


def test_one_pickle_counts_before_shards(run, tmp_path, copying):
    folder = shards_of(copy_of("sharded", tmp_path))
    shutil.copy(GOLDEN / "gelu" / "model.safetensors", folder / "pytorch_model.bin")
    code, _, err = run(folder, tmp_path / "out", "--python", copying)
    assert code == 0
    assert err.count("was left out: pytorch_model.bin beside it counts") == 4
    assert not list((tmp_path / "out").glob("*index.json"))


def test_a_file_is_not_written_over_by_a_shard(run, tmp_path, copying):
    folder = shards_of(copy_of("sharded", tmp_path))
    (folder / "model-00001-of-00003.safetensors").write_bytes(b"")
    code, _, err = run(folder, tmp_path / "out", "--python", copying)
    assert code == 65
    assert "model-00001-of-00003.safetensors would be written over" in err


@pytest.mark.parametrize("golden", ["gelu", "sharded"])
def test_nothing_to_convert_is_said(run, tmp_path, golden, bare):
    folder = copy_of(golden, tmp_path)
    code, _, err = run(folder, tmp_path / "out", "--python", bare)
    assert code == 65
    assert "nothing to convert" in err
    assert "its weights are safetensors. Open it as it is." in err


def test_a_folder_without_any_weights_is_refused(run, folder, tmp_path, bare):
    (folder / "model.safetensors").unlink()
    code, _, err = run(folder, tmp_path / "out", "--python", bare)
    assert (code, "Open it" in err) == (65, False)
    assert run(tmp_path / "nope/x/y", tmp_path / "out")[0] == 66


def test_a_pointer_of_git_lfs_is_known(run, folder, tmp_path, bare):
    (pickled(folder) / "pytorch_model.bin").write_text("version https://git-lfs.github.com/spec/v1")
    code, _, err = run(folder, tmp_path / "out", "--python", bare)
    assert code == 65
    assert "git lfs pull" in err


def test_a_zip_file_is_a_pickle_only_with_one_inside(run, folder, tmp_path, copying):
    import zipfile

    for name, inside in (("a.zip", "notes.txt"), ("b.bin", "archive/data.pkl")):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(inside, "x")
    (folder / "c.zip").write_bytes(b"PK\x03\x04 and no more")
    assert run(pickled(folder), tmp_path / "out", "--python", copying)[0] == 0
    found = set(os.listdir(tmp_path / "out"))
    assert found & {"a.zip", "b.bin", "c.zip"} == {"a.zip", "c.zip"}


# links


def test_a_model_of_a_cache_becomes_real_files(cache, run, tmp_path, copying, no_network):
    snapshot = cache("someone/model", GOLDEN / "gelu")
    pickled(snapshot)
    before = tree(cache.root)
    code, _, _ = run("someone/model", tmp_path / "out", "--python", copying, "--offline")
    assert code == 0
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))
    written = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert written == (GOLDEN / "gelu" / "model.safetensors").read_bytes()
    assert tree(cache.root) == before


def test_a_link_to_a_file_of_the_folder_becomes_a_file(run, folder, tmp_path, copying):
    (folder / "again.json").symlink_to("config.json")
    assert run(pickled(folder), tmp_path / "out", "--python", copying)[0] == 0
    copied = tmp_path / "out" / "again.json"
    assert not copied.is_symlink()
    assert copied.read_bytes() == (folder / "config.json").read_bytes()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nowhere", "leads nowhere"),
        ("notes.txt", "leads nowhere"),  # itself
        ("../secret", "out of the model's folder"),
        ("..", "out of the model's folder"),
        (".", "in which it lies"),
    ],
)
def test_a_link_that_is_no_part_of_the_model_is_refused(
    run, folder, tmp_path, copying, target, said
):
    (tmp_path / "secret").write_text("not to be copied")
    (pickled(folder) / "notes.txt").symlink_to(target)
    code, _, err = run(folder, tmp_path / "out", "--python", copying)
    assert code == 65
    assert f"{folder / 'notes.txt'} is a link" in err
    assert said in err
    assert not (tmp_path / "out").exists()


def test_a_history_and_a_pipe_are_left_out(run, folder, tmp_path, copying):
    os.mkfifo(folder / "pipe")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("")
    code, _, err = run(pickled(folder), tmp_path / "out", "--python", copying)
    assert code == 0
    assert ".git was left out: the history of the folder." in err
    assert "pipe was left out: neither a file nor a folder." in err
    assert not (tmp_path / "out" / ".git").exists()


# what failures leave


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        ('print(\'{"refused": "F/x.bin asks for posix.system"}\')', 65, "asks for posix.system. N"),
        ('print(\'{"unwritten": "F/x.bin cannot be"}\')', 74, "F/x.bin cannot be. Nothing was wr"),
        ("import os; os.kill(os.getpid(), 9)", 74, "was ended by signal 9"),
        ("raise SystemExit('no such option: -P')", 69, "no such option: -P"),
        ("print('no JSON')", 69, "nothing was said"),
    ],
)
def test_a_failure_leaves_nothing(run, folder, tmp_path, stand_in, program, code, said):
    before = tree(pickled(folder))
    found = run(folder, tmp_path / "out", "--python", stand_in(program))
    assert found[:2] == (code, "")
    assert said in found[2]
    assert sorted(os.listdir(tmp_path)) == ["a python", "gelu"]
    assert tree(folder) == before


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing(folder, tmp_path, stand_in, heeding_ctrl_c, sent, code):
    started = tmp_path / "started"
    program = stand_in(
        "import os, pathlib, time\n"
        f"pathlib.Path({str(started)!r} + '.new').write_text(str(os.getpid()))\n"
        f"os.rename({str(started)!r} + '.new', {str(started)!r})\n"
        "time.sleep(60)\n"
    )
    words = ["convert", pickled(folder), tmp_path / "out", "--python", program]
    running = subprocess.Popen([sys.executable, "-m", "minibert", *map(str, words)])
    while not started.exists():
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(sent)
    assert running.wait(30) == code
    assert sorted(os.listdir(tmp_path)) == ["a python", "gelu", "started"]
    soon = time.monotonic() + 30  # before it ends by itself; the system may bury it late
    while is_alive(int(started.read_text())):
        assert time.monotonic() < soon
        time.sleep(0.01)


def test_a_wrong_folder_is_an_error_of_its_own(tmp_path):
    with pytest.raises(OutputError):
        minibert.convert(tmp_path, tmp_path)

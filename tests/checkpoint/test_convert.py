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
from pickled_folders import COPYING, pickled, tree
from safetensors.numpy import load_file

import minibert
from minibert import CheckpointError
from minibert.errors import MissingLibraryError, OutputError

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


def test_without_torch_the_commands_that_bring_it_are_printed(run_convert, folder, tmp_path, bare):
    before = tree(pickled(folder))
    code, out, err = run_convert(folder, tmp_path / "out", "--python", bare)
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


def test_a_torch_in_which_pickles_could_run_code_is_refused(
    run_convert, folder, tmp_path, own_torch
):
    program = own_torch("__version__ = '2.9.1+cpu'")
    code, _, err = run_convert(pickled(folder), tmp_path / "out", "--python", program)
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


def test_torch_is_asked_to_unpickle_data_alone(run_convert, folder, tmp_path, own_torch):
    program = own_torch("""
__version__ = "2.10.0"
def load(path, map_location, weights_only):
    raise ValueError("only data" if weights_only is True else "whatever is in it")
""")
    code, _, err = run_convert(pickled(folder), tmp_path / "out", "--python", program)
    assert code == 65
    assert err == (
        f"minibert: {folder / 'pytorch_model.bin'} is damaged, or no pickle of tensors alone "
        "(ValueError: only data). Nothing of it was run or written.\n"
    )


def test_a_program_that_is_no_python_is_named(run_convert, folder, tmp_path):
    pickled(folder)
    code, _, err = run_convert(folder, tmp_path / "out", "--python", tmp_path / "nope")
    assert (code, err) == (66, f"minibert: {str(tmp_path / 'nope')!r}: No such file or directory\n")
    code, _, err = run_convert(folder, tmp_path / "out", "--python", "false")
    assert code == 69
    assert "false did not run the program" in err
    assert os.listdir(tmp_path) == ["gelu"]


# where it writes


@pytest.mark.parametrize("kind", ["file", "folder", "full", "dangling", "link"])
def test_a_new_folder_that_exists_is_left_alone(run_convert, folder, tmp_path, copying, kind):
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
    code, stdout, err = run_convert(folder, out, "--python", copying)
    assert (code, stdout) == (73, "")
    assert err == f"minibert: cannot create {str(out)!r}: it exists, and nothing is written over\n"
    assert tree(tmp_path) == before


@pytest.mark.parametrize("parent", ["nowhere", "config.json"])
def test_a_new_folder_in_no_folder_cannot_be_created(run_convert, folder, parent, copying):
    code, _, err = run_convert(pickled(folder), folder / parent / "out", "--python", copying)
    assert code == 73
    assert f"there is no folder {str(folder / parent)!r}" in err


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="a folder of Linux")
def test_a_folder_that_takes_no_other_cannot_have_it(run_convert, folder, copying):
    code, _, err = run_convert(pickled(folder), "/proc/self/out", "--python", copying)
    assert code == 73
    assert "cannot create '/proc/self/out': No such file" in err


@pytest.mark.parametrize("through_a_link", [False, True])
def test_the_model_s_own_folder_is_not_written_to(
    run_convert, folder, copying, tmp_path, through_a_link
):
    (folder / "1_Pooling").mkdir(exist_ok=True)
    before = tree(pickled(folder))
    place = folder / "1_Pooling"
    if through_a_link:
        place = tmp_path / "elsewhere"
        place.symlink_to(folder)
    code, _, err = run_convert(folder, place / "out", "--python", copying)
    assert code == 73
    assert "which is only read" in err
    assert tree(folder) == before


def test_the_cache_of_a_model_is_not_written_to(cache, run_convert, copying):
    snapshot = cache("someone/model", GOLDEN / "gelu")
    pickled(snapshot)
    before = tree(cache.root)
    code, _, _ = run_convert(
        snapshot, snapshot.parent.parent / "blobs" / "out", "--python", copying
    )
    assert code == 73
    assert tree(cache.root) == before


def test_a_folder_that_came_meanwhile_is_not_replaced(run_convert, folder, tmp_path, stand_in):
    quicker = stand_in(f"import os; os.mkdir({str(tmp_path / 'out')!r})\n{COPYING}")
    code, _, err = run_convert(pickled(folder), tmp_path / "out", "--python", quicker)
    assert code == 73
    assert "it exists" in err
    assert os.listdir(tmp_path / "out") == []
    assert sorted(os.listdir(tmp_path)) == ["a python", "gelu", "out"]


# what it writes


def test_all_files_are_copied_and_the_pickle_is_not(run_convert, folder, tmp_path, copying):
    (folder / "vocab.txt").write_text("kept as it is, \r\n")
    weights = (folder / "model.safetensors").read_bytes()
    before = tree(pickled(folder))
    code, out, err = run_convert(folder, tmp_path / "out", "--python", copying)
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


def test_others_may_read_the_weights_like_the_other_files(run_convert, folder, tmp_path, stand_in):
    careful = stand_in(f"import os; os.umask(0o077)\n{COPYING}")
    assert run_convert(pickled(folder), tmp_path / "out", "--python", careful)[0] == 0
    modes = {(tmp_path / "out" / n).stat().st_mode for n in ("config.json", "model.safetensors")}
    assert len(modes) == 1


def test_quiet_says_nothing_of_what_was_left_out(run_convert, folder, tmp_path, copying):
    code, _, err = run_convert(pickled(folder), tmp_path / "out", "--python", copying, "--quiet")
    assert (code, err) == (0, "")


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
def test_a_failure_leaves_nothing(run_convert, folder, tmp_path, stand_in, program, code, said):
    before = tree(pickled(folder))
    found = run_convert(folder, tmp_path / "out", "--python", stand_in(program))
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

"""Results on standard output or in a file, which no terminal obeys."""

import json
import os
import stat
import subprocess

import numpy as np
import pytest
from command_line import GELU, ODD, assert_not_obeyed, process, shell
from safetensors.numpy import load_file, save_file

from minibert.commands import cli


def test_a_whole_output_replaces_the_old_one(run, old_output):
    assert run("embed", "-m", GELU, "-o", old_output, "the cat").code == 0
    assert np.load(old_output, allow_pickle=False).shape == (1, 20)
    assert os.listdir(old_output.parent) == [old_output.name]


def test_an_output_in_a_folder_that_does_not_exist_is_code_73(run, tmp_path):
    path = tmp_path / "missing" / "vectors.npy"
    result = run("embed", "-m", GELU, "-o", path, "the cat")
    assert (result.code, result.out) == (73, "")
    assert str(path) in result.err
    assert not path.parent.exists()


def test_an_output_that_is_no_plain_file_is_not_replaced(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE)
    done = process("embed", "-m", GELU, "-o", fifo, "a")
    out, _ = reading.communicate(timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert json.loads(out)["text"] == "a"


def test_an_output_that_is_a_folder_cannot_be_created(run, tmp_path):
    result = run("embed", "-m", GELU, "-o", tmp_path, "a")
    assert (result.code, result.out) == (73, "")
    assert f"cannot create {str(tmp_path)!r}" in result.err


def test_an_output_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    assert cli.main(["embed", "-m", str(GELU), "-o", str(tmp_path / "v.npy"), "a"]) == 0
    assert (tmp_path / "v.npy").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_link_stays_a_link_to_the_new_output(tmp_path):
    (tmp_path / "v.npy").touch()
    (tmp_path / "link.npy").symlink_to(tmp_path / "v.npy")
    assert cli.main(["embed", "-m", str(GELU), "-o", str(tmp_path / "link.npy"), "a"]) == 0
    assert (tmp_path / "link.npy").is_symlink()
    assert np.load(tmp_path / "v.npy").shape == (1, 20)


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="a device of Unix")
def test_a_pipe_may_be_named_by_its_device(tmp_path):
    expected = shell(f"{{}} embed -m {GELU} a")
    assert shell(f"{{}} embed -m {GELU} a -o /dev/stdout") == expected
    assert shell(f"{{}} embed -m {GELU} a -o /dev/stdout > {tmp_path}/v")[0] == 0
    assert (tmp_path / "v").read_text() == expected[1]


def test_a_score_shows_control_characters_and_sends_none(run):
    for form in ([], ["--json"]):
        result = run("score", "-m", GELU, "q", ODD, *form)
        assert result.code == 0
        assert_not_obeyed(result.out)
    assert result.texts == [ODD]
    assert run("embed", "-m", GELU, ODD).texts == [ODD]


def test_names_in_a_model_s_files_are_shown_and_not_sent(run, folder, edit, tmp_path):
    edit(folder / "config_sentence_transformers.json", prompts={ODD: ODD})
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, ODD: np.zeros(1, dtype=np.float32)}, folder / "model.safetensors")
    for form in ([], ["--json"]):
        result = run("info", folder, *form)
        assert result.code == 0
        assert_not_obeyed(result.out + result.err)
    (facts,) = result.objects
    assert facts["tensors_ignored"] == [ODD]
    folder.rename(tmp_path / ODD)
    (tmp_path / ODD / "config.json").write_text(f'{{"model_type": "{ODD[6:]}"}}')
    result = run("info", tmp_path / ODD)
    assert result.code == 65
    assert_not_obeyed(result.err)
    assert r"\x1b]0;title\x07" in result.err

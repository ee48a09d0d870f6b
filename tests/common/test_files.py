"""Files that are there whole or not at all, folders that one process writes, arrays in files."""

import errno
import os
from contextlib import suppress

import numpy as np
import pytest

from minibert.common.files import LOCK, locked, new_folder, npy_chunks, replacing
from minibert.errors import OutputError


def test_a_file_is_replaced_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with suppress(KeyboardInterrupt), replacing(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("file", b"old")]
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("file", b"new")]


def test_a_folder_gets_its_name_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "folder"
    with suppress(KeyboardInterrupt), new_folder(path) as partial:
        (partial / "file").write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with new_folder(path) as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "file").write_bytes(b"new")
        assert not path.exists()
    assert [one.relative_to(tmp_path).as_posix() for one in tmp_path.rglob("*")] == [
        "folder", "folder/inner", "folder/inner/file"
    ]  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="asks Linux which file is synced")
def test_a_new_folder_and_all_in_it_are_synced_before_the_rename(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, os.replace

    def path_of(descriptor):
        return os.path.relpath(os.path.realpath(f"/proc/self/fd/{descriptor}"), tmp_path)

    monkeypatch.setattr(os, "fsync", lambda file: (done.append(path_of(file)), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *two: (done.append("replace"), replace(*two)))
    with new_folder(tmp_path / "folder") as partial:
        (partial / "inner").mkdir()
        for name in ("a", "inner/b"):
            (partial / name).write_bytes(b"new")
        expected = {f"{partial.name}{name}" for name in ("", "/a", "/inner", "/inner/b")}
    at = done.index("replace")
    assert expected <= set(done[:at])
    assert done[at + 1 :] == ["."]


def test_a_locked_folder_is_locked_until_the_block_ends(tmp_path):
    with locked(tmp_path):
        with pytest.raises(OutputError, match="is being written by another process"):
            locked(tmp_path).__enter__()
        assert (tmp_path / LOCK).read_bytes() == b""
    with locked(tmp_path):
        pass


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path):
    with pytest.raises(OutputError, match=r"cannot write to .*none"), locked(tmp_path / "none"):
        pass
    assert not (tmp_path / "none").exists()


def test_a_full_disk_is_told_as_what_it_is(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("filelock.FileLock.acquire", lambda self, blocking: full())
    with pytest.raises(OSError, match="No space left") as error, locked(tmp_path):
        pass
    assert not isinstance(error.value, OutputError)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_the_chunks_of_an_array_are_what_np_save_writes(shape, tmp_path):
    array = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    np.save(tmp_path / "x.npy", array)
    assert b"".join(map(bytes, npy_chunks(array))) == (tmp_path / "x.npy").read_bytes()


@pytest.mark.parametrize("view", [np.transpose, np.asfortranarray, lambda array: array[::-1, 1:]])
def test_the_chunks_of_an_array_in_another_order_are_its_own(view, tmp_path):
    array = view(np.arange(6, dtype=np.float32).reshape(2, 3))
    (tmp_path / "x.npy").write_bytes(b"".join(map(bytes, npy_chunks(array))))
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), array)

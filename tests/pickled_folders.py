"""Folders with pickles in place of safetensors, and what a folder holds."""

import json
import os
import stat

# A program in the place of a Python with torch: it copies.
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


def tree(folder):
    """What a folder holds: links as links, files with their bytes and times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        is_file = stat.S_ISREG(status.st_mode)
        content = path.read_bytes() if is_file else path.is_symlink() and os.readlink(path)
        found[str(path.relative_to(folder))] = (content, status.st_mtime_ns, status.st_ino)
    return found


def pickled(folder, to="pytorch_model.bin"):
    """Call a folder's weights a pickle."""
    (folder / "model.safetensors").rename(folder / to)
    return folder


def shards_of(folder, change=lambda index: None):
    """Call a folder's shards pickles."""
    text = (folder / "model.safetensors.index.json").read_text()
    for shard in list(folder.glob("model-*.safetensors")):
        name = f"pytorch_{shard.stem}.bin"
        text = text.replace(shard.name, name)
        shard.rename(folder / name)
    (folder / "model.safetensors.index.json").unlink()
    index = json.loads(text)
    change(index)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return folder

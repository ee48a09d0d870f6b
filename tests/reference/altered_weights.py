"""Safetensors files, altered: their headers, their numbers, and shards with their index."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from altered_json import ODD, Pairs, alter_json, shown
from safetensors.numpy import load_file, save_file

Header = dict[str, Any]


def weights_of(random: Random, place: Path) -> Path:
    """The weights of the folder, or now and then those of a module."""
    files = sorted((place / "model").glob("*_*/model.safetensors"))
    whole = place / "model" / "model.safetensors"
    return random.choice(files) if files and random.random() < 0.3 else whole


def split_file(path: Path) -> tuple[Header, bytes]:
    """The header of a safetensors file, and the bytes behind it."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def join_file(path: Path, header: object, numbers: bytes) -> None:
    """Write a safetensors file of a header, whatever that is."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)


def alter_header(random: Random, place: Path) -> str:
    """Alter what the header of a safetensors file says, or its length, or what follows it."""
    path = weights_of(random, place)
    how = random.choice(list(HEADERS))
    return f"{path.parent.name}/{path.name}: {how}: " + HEADERS[how](random, path)


def some_tensor(random: Random, header: Header) -> str:
    """The name of a tensor."""
    return random.choice([name for name in header if name != "__metadata__"])


def header_value(key: str, values: list[Any]) -> Callable[[Random, Path], str]:
    """Alter one of the three things that a header says of a tensor."""

    def change(random: Random, path: Path) -> str:
        header, numbers = split_file(path)
        name = some_tensor(random, header)
        header[name][key] = value = random.choice(values if random.random() < 0.7 else ODD)
        join_file(path, header, numbers)
        return f"{name} {key} = {shown(value)}"

    return change


def header_shape(random: Random, path: Path) -> str:
    """Give a tensor another shape, of as many numbers or not."""
    header, numbers = split_file(path)
    name = some_tensor(random, header)
    old = header[name]["shape"]
    changed = [
        *(old[::-1], [1, *old], [*old, 1], old[1:], [int(np.prod(old))], [*old[:-1], old[-1] + 1]),
        *([-size for size in old], [2**62, 4], [0], [0, *old], [float(size) for size in old]),
    ]
    header[name]["shape"] = value = random.choice(changed)
    join_file(path, header, numbers)
    return f"{name} shape = {shown(value)}"


def header_offsets(random: Random, path: Path) -> str:
    """Move where a tensor begins or ends, or swap it with another."""
    header, numbers = split_file(path)
    name, other = some_tensor(random, header), some_tensor(random, header)
    begin, end = header[name]["data_offsets"]
    moved = [
        *([begin + 4, end + 4], [begin - 4, end - 4], [end, begin], [begin, end - 4], [0, 0]),
        *([begin, 2**62], [-4, end], [float(begin), end], [begin], []),
        header[other]["data_offsets"],
    ]
    header[name]["data_offsets"] = value = random.choice(moved)
    join_file(path, header, numbers)
    return f"{name} data_offsets = {shown(value)}"


def header_swap(random: Random, path: Path) -> str:
    """Swap the bytes of two tensors, which stays a whole file where both are of a size."""
    header, numbers = split_file(path)
    name, other = some_tensor(random, header), some_tensor(random, header)
    both = header[name]["data_offsets"], header[other]["data_offsets"]
    header[other]["data_offsets"], header[name]["data_offsets"] = both
    join_file(path, header, numbers)
    return f"{name} with {other}"


def header_name(random: Random, path: Path) -> str:
    """Rename a tensor, or all of them."""
    header, numbers = split_file(path)
    name = some_tensor(random, header)
    prefix = random.choice(["bert.", "roberta.", "model.", "module.", "0.auto_model."])
    names = [
        *(name.replace("LayerNorm.weight", "LayerNorm.gamma"), name.upper(), "", name + " "),
        *("é\0", "__metadata__", prefix + name, name.replace("0", "00"), "x" * 5000),
    ]
    new = random.choice(names)
    if random.random() < 0.3:
        new = f"all with {prefix}"
        header = {n if n == "__metadata__" else prefix + n: v for n, v in header.items()}
    else:
        header = {new if n == name else n: v for n, v in header.items()}
    join_file(path, header, numbers)
    return f"{name} -> {shown(new)}"


def header_gone(random: Random, path: Path) -> str:
    """Leave a hole: a tensor's bytes stay, its name goes."""
    header, numbers = split_file(path)
    name = some_tensor(random, header)
    del header[name]
    join_file(path, header, numbers)
    return name


def header_doubled(random: Random, path: Path) -> str:
    """Name a tensor twice, the second time with other offsets or the same."""
    header, numbers = split_file(path)
    name = some_tensor(random, header)
    other = header[random.choice([name, some_tensor(random, header)])]
    join_file(path, Pairs([*header.items(), (name, other)]), numbers)
    return name


def header_metadata(random: Random, path: Path) -> str:
    """Put odd things where the format of the writer stands."""
    header, numbers = split_file(path)
    value = random.choice([*ODD, {"format": "tf"}, {"format": "np"}, {"format": 5}, {"a": "b"}])
    header["__metadata__"] = value
    if random.random() < 0.2:
        header.pop("__metadata__")
        value = "gone"
    join_file(path, header, numbers)
    return shown(value)


def header_length(random: Random, path: Path) -> str:
    """Let the file say another length of its header."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    new = random.choice([0, 1, size - 1, size + 1, size - 8, 2**62, 2**64 - 1, len(content), 10**8])
    path.write_bytes(struct.pack("<Q", new) + content[8:])
    return f"{size} -> {new}"


def header_odd(random: Random, path: Path) -> str:
    """Let the header be no object, or no JSON, or begin with a blank."""
    _, numbers = split_file(path)
    text = random.choice([b"[]", b"null", b"{}", b"{", b" {}", b"\xff\xfe", b"", b"[" * 9000])
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)
    return ascii(text)[:40]


def more_or_fewer_bytes(random: Random, path: Path) -> str:
    """Add bytes at the end, or take some away."""
    content = path.read_bytes()
    number = random.choice([-1, -4, -100, 1, 4, 8, 4096])
    path.write_bytes(content + b"\0" * number if number > 0 else content[:number])
    return f"{number} bytes"


def other_type(random: Random, path: Path) -> str:
    """Store one tensor, or all, as another type of numbers, as a whole file."""
    tensors = load_file(path)
    kind = random.choice(["float16", "float64", "int32", "int64", "bool", "uint8"])
    name = random.choice(sorted(tensors))
    chosen = [name] if random.random() < 0.5 else list(tensors)
    for key in chosen:
        tensors[key] = tensors[key].astype(kind)
    path.unlink()
    save_file(tensors, path, metadata={"format": "pt"})
    return f"{len(chosen)} ({name}) as {kind}"


def more_tensors(random: Random, path: Path) -> str:
    """Add tensors that no model needs, or a second copy of one under an older name."""
    tensors = load_file(path)
    name = random.choice(sorted(tensors))
    new = random.choice(
        ["embeddings.position_ids", "cls.predictions.bias", "classifier.weight", "bert." + name,
         name.replace("LayerNorm.weight", "LayerNorm.gamma") + "", "x", "linear.weight"]
    )  # fmt: skip
    made = [np.arange(41)[None], np.zeros((0, 3), np.float32), tensors[name] + 1, np.float32(3)]
    tensors[new] = np.asarray(random.choice(made))
    path.unlink()
    save_file(tensors, path, metadata={"format": "pt"})
    return f"{new} {tensors[new].shape}"


HEADERS: dict[str, Callable[[Random, Path], str]] = {
    "dtype": header_value(
        "dtype", ["F16", "BF16", "F64", "I32", "I64", "F31", "f32", "BOOL", "F8_E4M3", "F4", "C64"]
    ),
    "shape": header_shape,
    "odd shape": header_value("shape", [["20"], [True], [None], "20", 20, {"0": 20}]),
    "offsets": header_offsets,
    "swap": header_swap,
    "name": header_name,
    "gone": header_gone,
    "doubled": header_doubled,
    "metadata": header_metadata,
    "length": header_length,
    "odd": header_odd,
    "bytes": more_or_fewer_bytes,
    "type": other_type,
    "more": more_tensors,
    "unheard": header_value("unheard_of", [1, None]),
}

NUMBERS = [
    *(np.nan, np.nan, np.nan, np.inf, -np.inf, 1e38, -3e38, 1e30, 1e20, 1e10, 1e5),
    *(1e-40, -1e-45, 1e-38, 0.0, -0.0),
]


def alter_values(random: Random, place: Path) -> str:
    """Put another number into one place of a tensor, a row of it, or all of it."""
    path = weights_of(random, place)
    tensors = load_file(path)
    number = random.choice(NUMBERS)
    unused = [name for name in sorted(tensors) if "pooler" in name]
    if not unused or random.random() < 0.5:
        name = random.choice(sorted(tensors))
    elif random.random() < 0.5:
        name = random.choice(unused)
    else:
        name = "cls.predictions.bias"
        tensors[name] = np.zeros(5, np.float32)
    changed = tensors[name].copy()
    rows = changed.reshape(len(changed), -1)
    where = random.choice(["one", "row", "all"])
    row, column = random.randrange(len(rows)), random.randrange(rows.shape[1])
    if where == "one":
        rows[row, column] = number
    else:
        rows[row if where == "row" else slice(None)] = number
    tensors[name] = changed
    path.unlink()
    save_file(tensors, path, metadata={"format": "pt"})
    return f"{path.parent.name}/{name}: {where} ({row}) = {number}"


def write_shards(model: Path) -> dict[str, str]:
    """Split the weights into three files with an index: which tensor is in which."""
    tensors = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    where = {}
    for number in range(3):
        file = f"model-{number + 1:05}-of-00003.safetensors"
        part = {name: tensors[name] for name in sorted(tensors)[number::3]}
        save_file(part, model / file, metadata={"format": "pt"})
        where |= dict.fromkeys(part, file)
    write_index(model, where)
    return where


def write_index(model: Path, where: object) -> None:
    """Write the index of shards."""
    index = {"metadata": {"total_size": 1000}, "weight_map": where}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))


def alter_shards(random: Random, place: Path) -> str:
    """Split the weights, and alter a shard or the index."""
    model = place / "model"
    where = write_shards(model)
    how = random.choice(list(SHARDS))
    name, file = random.choice(sorted(where)), random.choice(sorted(set(where.values())))
    words = SHARDS[how](random, model, where, name, file)
    return f"shards: {how}: {words or f'{name}, {file}'}"


def keep_shards(random: Random, model: Path, where: Any, name: str, file: str) -> None:
    """Alter nothing."""


def lose_shard(random: Random, model: Path, where: Any, name: str, file: str) -> None:
    """Take a shard away."""
    (model / file).unlink()


def name_elsewhere(random: Random, model: Path, where: Any, name: str, file: str) -> str:
    """Let the index name another file for a tensor."""
    odd = ["../outside/x.safetensors", "/etc/passwd", f"./{file}", f"x\\{file}", "x", f"{file} "]
    value = random.choice([*odd, *ODD])
    write_index(model, {**where, name: value})
    return f"{name} in {shown(value)}"


def name_wrong_shard(random: Random, model: Path, where: Any, name: str, file: str) -> str:
    """Let the index name another of the shards for a tensor."""
    write_index(model, {**where, name: file})
    return f"{name} in {file}"


def name_unknown_tensor(random: Random, model: Path, where: Any, name: str, file: str) -> None:
    """Let the index name a tensor that no file has."""
    write_index(model, {**where, "unheard.of": file})


def name_too_little(random: Random, model: Path, where: Any, name: str, file: str) -> None:
    """Leave a tensor out of the index, or a whole shard."""
    if random.random() < 0.5:
        write_index(model, {n: f for n, f in where.items() if n != name})
    else:
        write_index(model, {n: f for n, f in where.items() if f != file})


def name_twice(random: Random, model: Path, where: Any, name: str, file: str) -> None:
    """Let the index name a tensor twice."""
    write_index(model, Pairs([*where.items(), (name, file)]))


def store_twice(random: Random, model: Path, where: Any, name: str, file: str) -> None:
    """Put a tensor into a second shard, with other numbers."""
    tensors = load_file(model / file)
    tensors[name] = load_file(model / where[name])[name] + 1
    (model / file).unlink()
    save_file(tensors, model / file, metadata={"format": "pt"})


def cut_shard(random: Random, model: Path, where: Any, name: str, file: str) -> None:
    """Cut a shard short."""
    content = (model / file).read_bytes()
    (model / file).write_bytes(content[: random.randrange(len(content))])


def add_shard(random: Random, model: Path, where: Any, name: str, file: str) -> None:
    """Add a file that the index does not name."""
    save_file({name: np.zeros(3, np.float32)}, model / "model-00004-of-00003.safetensors")


def add_whole(random: Random, model: Path, where: Any, name: str, file: str) -> None:
    """Put a whole file beside the shards, with other numbers in a tensor."""
    tensors = {n: load_file(model / f)[n] for n, f in where.items()}
    tensors[name] = tensors[name] * 2
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})


def odd_index(random: Random, model: Path, where: Any, name: str, file: str) -> str:
    """Alter any place of the index."""
    return alter_json(random, model / "model.safetensors.index.json", {"weight_map": ODD})


SHARDS: dict[str, Callable[[Random, Path, Any, str, str], str | None]] = {
    "whole": keep_shards,
    "missing": lose_shard,
    "elsewhere": name_elsewhere,
    "wrong shard": name_wrong_shard,
    "unknown tensor": name_unknown_tensor,
    "left out": name_too_little,
    "named twice": name_twice,
    "stored twice": store_twice,
    "cut": cut_shard,
    "one more": add_shard,
    "whole file beside": add_whole,
    "index": odd_index,
}

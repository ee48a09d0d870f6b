"""A valid model folder, altered by a seed: one of 16 classes of alterations, in turn.

The same seed gives the same bytes on any machine. Start at make_altered.
"""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from altered_json import (
    CONFIG,
    DENSE,
    MODEL,
    MODULES,
    POOLING,
    TOKENIZER,
    TOKENS,
    TRANSFORMER,
    alter_json,
    alter_tokenizer_json,
    shown,
)
from altered_weights import alter_header, alter_shards, alter_values
from altered_words import alter_pairs, alter_words
from safetensors.numpy import load_file, save_file

GOLDEN = Path(__file__).parent.parent / "golden"
# What is altered, by name: the golden folder it is.
BASES = {"bert": "gelu", "roberta": "roberta", "xlm_roberta": "xlm_roberta", "dense": "modules"}

# Changes the folder `model` in a place, and may use others there; says what it did.
Alteration = Callable[[Random, Path], str]


def in_json(name: str, known: dict[str, list[Any]]) -> Alteration:
    """Alter a JSON file of the folder."""
    return lambda random, place: alter_json(random, place / "model" / name, known)


def in_tokenizer(random: Random, place: Path) -> str:
    """Alter the tokenizer's settings; now and then of the class that takes the file as it is."""
    path = place / "model" / "tokenizer_config.json"
    if random.random() < 0.25:
        settings = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(settings | {"tokenizer_class": "PreTrainedTokenizerFast"}))
        return "as it stands, " + alter_json(random, path, TOKENIZER)
    return alter_json(random, path, TOKENIZER)


def in_pooling(random: Random, place: Path) -> str:
    """Alter the settings of the pooling."""
    (path,) = (place / "model").glob("*_Pooling/config.json")
    return alter_json(random, path, POOLING)


def in_dense(random: Random, place: Path) -> str:
    """Alter the settings of one of the other modules."""
    paths = sorted(p for p in (place / "model").glob("*_*/config.json") if "Pool" not in str(p))
    return alter_json(random, random.choice(paths), DENSE)


def in_older_tokens(random: Random, place: Path) -> str:
    """Move the special tokens, or added ones, to the files of older releases, and alter those."""
    model = place / "model"
    path = model / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    if random.random() < 0.7:
        tokens = {key: settings.pop(key) for key in list(settings) if key.endswith("_token")}
        path.write_text(json.dumps(settings))
        (model / "special_tokens_map.json").write_text(json.dumps(tokens))
        return alter_json(random, model / "special_tokens_map.json", TOKENS)
    (model / "added_tokens.json").write_text(json.dumps({"zebra": 4, "the cat": 5}))
    if random.random() < 0.5:
        content = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
        content["added_tokens"] = []
        (model / "tokenizer.json").write_text(json.dumps(content))
    return alter_json(random, model / "added_tokens.json", {"zebra": [0, 9, 81, 83, 300]})


LFS = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)

# What becomes of a file's bytes, by name; `cut` is a place in them.
BYTES: dict[str, Callable[[bytes, int], bytes]] = {
    "empty": lambda content, cut: b"",
    "git-lfs pointer": lambda content, cut: LFS.encode(),
    "truncated": lambda content, cut: content[:cut],
    "byte order mark": lambda content, cut: b"\xef\xbb\xbf" + content,
    "UTF-16": lambda content, cut: content.decode("latin-1").encode("utf-16"),
    "more behind it": lambda content, cut: content + b"more",
    "twice": lambda content, cut: content + content,
    "a blank": lambda content, cut: b" \n",
    "null": lambda content, cut: b"null",
    "a NUL inside": lambda content, cut: content[:cut] + b"\0" + content[cut:],
    "a byte changed": lambda content, cut: (
        content[:cut] + bytes([content[cut] ^ 0x41]) + content[cut + 1 :]
    ),
    "not UTF-8": lambda content, cut: content[:cut] + b"\xe9\xff" + content[cut:],
    "CRLF": lambda content, cut: content.replace(b"\n", b"\r\n"),
    "a web page": lambda content, cut: b"<!DOCTYPE html><html>Entry not found</html>",
}


def alter_bytes(random: Random, place: Path) -> str:
    """Damage a file as transfers, editors and version control do."""
    path = random.choice(files_of(place / "model"))
    kind = random.choice(list(BYTES))
    content = path.read_bytes()
    path.write_bytes(BYTES[kind](content, random.randrange(len(content))))
    return f"{path.relative_to(place / 'model')}: {kind}"


def files_of(model: Path) -> list[Path]:
    """The files of a folder, in a fixed order."""
    return sorted(path for path in model.rglob("*") if path.is_file())


def alter_links(random: Random, place: Path) -> str:
    """Replace a file, or the folder of a module, by a link or by a folder, or take it away."""
    model, outside = place / "model", place / "outside"
    folders = sorted(path for path in model.iterdir() if path.is_dir())
    path = random.choice(files_of(model) + folders)
    kind = random.choice(list(LINKS))
    LINKS[kind](path, outside)
    return f"{path.relative_to(model)}: {kind}"


def link_to_itself(path: Path, outside: Path) -> None:
    """Leave a link that leads to itself."""
    put_away(path, outside)
    path.symlink_to(path.name)


def link_within(path: Path, outside: Path) -> None:
    """Keep what it is under another name beside it, and leave a link to that."""
    path.rename(path.with_name(f"kept_{path.name}"))
    path.symlink_to(f"kept_{path.name}")


def link_outside(path: Path, outside: Path) -> None:
    """Move it out of the folder, as a hub's cache does, and leave a link."""
    path.symlink_to(put_away(path, outside))


def dangling(path: Path, outside: Path) -> None:
    """Leave a link to nothing."""
    put_away(path, outside)
    path.symlink_to("nothing")


def empty_folder(path: Path, outside: Path) -> None:
    """Leave an empty folder."""
    put_away(path, outside)
    path.mkdir()


def folder_of_it(path: Path, outside: Path) -> None:
    """Leave a folder of its name with it inside."""
    kept = put_away(path, outside)
    path.mkdir()
    kept.rename(path / path.name)


def put_away(path: Path, outside: Path) -> Path:
    """Move it out of the folder."""
    outside.mkdir(exist_ok=True)
    return path.rename(outside / path.name)


LINKS: dict[str, Callable[[Path, Path], object]] = {
    "link within": link_within,
    "link outside": link_outside,
    "dangling link": dangling,
    "link to itself": link_to_itself,
    "an empty folder": empty_folder,
    "a folder with it": folder_of_it,
    "missing": put_away,
}


def put(name: str, key: str, value: Any) -> Alteration:
    """Give a key of a JSON file a value."""

    def change(random: Random, place: Path) -> str:
        path = place / "model" / name
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        path.write_text(json.dumps({**content, key: value}))
        return f"{name}: {key} = {shown(value)}"

    return change


def put_added(key: str, value: Any) -> Alteration:
    """Give the second added token of tokenizer.json a value."""

    def change(random: Random, place: Path) -> str:
        path = place / "model" / "tokenizer.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["added_tokens"][1][key] = value
        path.write_text(json.dumps(content))
        return f"tokenizer.json: an added token's {key} = {shown(value)}"

    return change


def fill(name: str, number: float) -> Alteration:
    """Fill a tensor with a number."""

    def change(random: Random, place: Path) -> str:
        path = place / "model" / "model.safetensors"
        tensors = load_file(path)
        (stored,) = [one for one in tensors if one.endswith(name)]
        tensors[stored] = np.full_like(tensors[stored], number)
        path.unlink()
        save_file(tensors, path, metadata={"format": "pt"})
        return f"model/{stored}: all = {number}"

    return change


# What was found once, and chance seldom meets: every fourth seed of a class, until there is none
# left, is one of these.
ONCE_FOUND: dict[str, list[Alteration]] = {
    "config": [
        put("config.json", key, value)
        for key, value in [
            ("model_type", None),
            ("num_hidden_layers", 10**12),
            ("hidden_size", 10**12),
            ("pad_token_id", 10**12),
            ("max_position_embeddings", 10**12),
            ("num_attention_heads", 0),
            ("layer_norm_eps", math.nan),
            ("vocab_size", math.inf),
        ]
    ],
    "tokenizer": [
        put("tokenizer_config.json", key, value)
        for key, value in [
            ("model_max_length", False),
            ("model_max_length", math.nan),
            ("mask_token", 5),
            ("cls_token", {"content": "cat", "lstrip": 1}),
            ("cls_token", "\ud800"),
            ("extra_special_tokens", [5]),
            ("added_tokens_decoder", {"5": {"content": "cat", "special": None}}),
        ]
    ],
    "pooling": [
        put("1_Pooling/config.json", "embedding_dimension", {}),
        put("1_Pooling/config.json", "pooling_mode", "\ud800"),
    ],
    "tokenizer.json": [
        put_added(key, value)
        for key, value in [
            ("id", math.inf),
            ("id", []),
            ("id", 1.5),
            ("id", -1),
            ("content", "\ud800"),
            ("lstrip", 1),
        ]
    ],
    "values": [
        fill("layer.0.output.LayerNorm.weight", 1e38),
        fill("layer.1.attention.self.value.weight", -3e38),
        fill("embeddings.position_embeddings.weight", 1e38),
    ],
}

# The classes in turn: each has every 16th seed. The folders that a class goes with come second;
# none is all of them.
CLASSES: dict[str, tuple[Alteration, tuple[str, ...]]] = {
    "config": (in_json("config.json", CONFIG), ()),
    "transformer": (in_json("sentence_bert_config.json", TRANSFORMER), ()),
    "modules": (in_json("modules.json", MODULES), ()),
    "pooling": (in_pooling, ()),
    "model": (in_json("config_sentence_transformers.json", MODEL), ()),
    "tokenizer": (in_tokenizer, ()),
    "tokens": (in_older_tokens, ()),
    "dense": (in_dense, ("dense",)),
    "header": (alter_header, ()),
    "values": (alter_values, ()),
    "shards": (alter_shards, ()),
    "words": (alter_words, ("bert", "dense")),
    "pairs": (alter_pairs, ("roberta",)),
    "tokenizer.json": (alter_tokenizer_json, ()),
    "links": (alter_links, ()),
    "bytes": (alter_bytes, ()),
}


def make_altered(seed: int, place: Path) -> tuple[str, str, str]:
    """Write place/model, altered by a seed: the class, the folder's name and what was altered."""
    random = Random(seed)
    kind = list(CLASSES)[seed % len(CLASSES)]
    alteration, bases = CLASSES[kind]
    base = random.choice(bases or tuple(BASES))
    turn, found = seed // len(CLASSES), ONCE_FOUND.get(kind, [])
    if turn % 4 == 0 and turn // 4 < len(found):
        base, alteration = "roberta", found[turn // 4]
    write_base(base, place / "model")
    return kind, base, alteration(random, place)


def write_base(base: str, model: Path) -> None:
    """Write a folder as it is before it is altered."""
    shutil.copytree(GOLDEN / BASES[base], model, ignore=shutil.ignore_patterns("*.npz"))

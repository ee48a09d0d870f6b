"""Vocabularies of older releases, altered: vocab.txt of a BERT, vocab.json and merges.txt."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from altered_json import ODD, Pairs, shown

WORD = b"cat"


def older_words(model: Path) -> list[bytes]:
    """Take tokenizer.json away: its words in the order of their ids."""
    vocabulary = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["model"][
        "vocab"
    ]
    size = max(vocabulary.values()) + 1
    by_id = {id: word for word, id in vocabulary.items()}
    (model / "tokenizer.json").unlink()
    # An id that no word has would move all others.
    return [by_id.get(id, f"[unused{id}]").encode() for id in range(size)]


def alter_words(random: Random, place: Path) -> str:
    """Write vocab.txt in place of tokenizer.json, altered."""
    model = place / "model"
    kept = (model / "tokenizer.json").read_bytes()
    words = older_words(model)
    how = random.choice(list(WORDS))
    at = random.randrange(len(words))
    (model / "vocab.txt").write_bytes(WORDS[how](words, at, random))
    beside = random.random() < 0.05
    if beside:
        (model / "tokenizer.json").write_bytes(kept)
    return f"vocab.txt: {how} ({at}){', tokenizer.json beside it' if beside else ''}"


def lines(words: list[bytes], end: bytes = b"\n") -> bytes:
    """Words, a line each."""
    return b"".join(word + end for word in words)


Words = Callable[[list[bytes], int, Random], bytes]
WORDS: dict[str, Words] = {
    "as it was": lambda words, at, random: lines(words),
    "no end of the last line": lambda words, at, random: lines(words)[:-1],
    "blank last line": lambda words, at, random: lines(words) + b"\n",
    "blank last lines": lambda words, at, random: lines(words) + b"\n" * random.randrange(2, 9),
    "last line of blanks": lambda words, at, random: lines(words) + b"  \n",
    "blank line": lambda words, at, random: lines([*words[:at], b"", *words[at:]]),
    "blank for a word": lambda words, at, random: lines([*words[:at], b"", *words[at + 1 :]]),
    "doubled last": lambda words, at, random: lines([*words, words[at]]),
    "doubled for another": lambda words, at, random: lines([*words[:-1], words[at]]),
    "CRLF": lambda words, at, random: lines(words, b"\r\n"),
    "CR": lambda words, at, random: lines(words, b"\r"),
    "one CRLF": lambda words, at, random: lines([*words[:at], words[at] + b"\r", *words[at + 1 :]]),
    "blanks behind": lambda words, at, random: lines(words, b" \n"),
    "a blank behind one": lambda words, at, random: lines(
        [*words[:at], words[at] + random.choice([b" ", b"\t", b"\xc2\xa0"]), *words[at + 1 :]]
    ),
    "a blank before one": lambda words, at, random: lines(
        [*words[:at], b" " + words[at], *words[at + 1 :]]
    ),
    "counts behind": lambda words, at, random: lines([word + b"\t7" for word in words]),
    "latin-1": lambda words, at, random: lines([*words[:at], b"caf\xe9", *words[at + 1 :]]),
    "byte order mark": lambda words, at, random: b"\xef\xbb\xbf" + lines(words),
    "UTF-16": lambda words, at, random: lines(words).decode().encode("utf-16"),
    "no special token": lambda words, at, random: lines(
        [b"[gone]" if word == words[at % 5] else word for word in words]
    ),
    "one longer": lambda words, at, random: lines([*words, b"[unused]"])
    + b"zebra\n" * random.randrange(2),
    "longer": lambda words, at, random: lines([*words, b"a1", b"b1", b"c1", b"d1"]),
    "shorter": lambda words, at, random: lines(words[: max(at, 5)]),
    "much shorter": lambda words, at, random: lines(words[: at % 5]),
    "empty": lambda words, at, random: b"",
    "line separator": lambda words, at, random: lines(
        [*words[:at], b"a" + random.choice(["\u2028", "\x85", "\x0b", "\x0c", "\x1c"]).encode(),
         *words[at + 1 :]]
    ),
    "NUL": lambda words, at, random: lines([*words[:at], b"a\0b", *words[at + 1 :]]),
    "a long word": lambda words, at, random: lines([*words[:at], b"x" * 5000, *words[at + 1 :]]),
}  # fmt: skip


def alter_pairs(random: Random, place: Path) -> str:
    """Write vocab.json and merges.txt in place of tokenizer.json, one of them altered."""
    model = place / "model"
    content = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    (model / "tokenizer.json").unlink()
    vocabulary = content["vocab"]
    merges = [" ".join(pair).encode() for pair in content["merges"]]
    how, at = random.choice([*MERGES, *VOCABULARIES]), random.randrange(len(merges))
    words = ""
    if how in MERGES:
        written = MERGES[how](merges, at)
    else:
        written, (words, vocabulary) = (
            MERGES["as it was"](merges, at),
            VOCABULARIES[how](vocabulary, random),
        )
    (model / "merges.txt").write_bytes(written)
    (model / "vocab.json").write_text(json.dumps(vocabulary))
    if random.random() < 0.04:
        name = random.choice(["vocab.json", "merges.txt"])
        (model / name).unlink()
        words += f", no {name}"
    return f"merges.txt, vocab.json: {how} ({at}) {words}"


VERSION = b"#version: 0.2"
MERGES: dict[str, Callable[[list[bytes], int], bytes]] = {
    "as it was": lambda merges, at: lines([VERSION, *merges]),
    "no version": lambda merges, at: lines(merges),
    "version later": lambda merges, at: lines([*merges, VERSION]),
    "another version": lambda merges, at: lines([b"# version 7", *merges]),
    "no end": lambda merges, at: lines([VERSION, *merges])[:-1],
    "blank last line": lambda merges, at: lines([VERSION, *merges, b""]),
    "blank line": lambda merges, at: lines([VERSION, *merges[:at], b"", *merges[at:]]),
    "CRLF": lambda merges, at: lines([VERSION, *merges], b"\r\n"),
    "doubled merge": lambda merges, at: lines([VERSION, *merges, merges[at]]),
    "doubled first": lambda merges, at: lines([VERSION, merges[at], *merges]),
    "three parts": lambda merges, at: lines([VERSION, *merges[:at], b"a b c", *merges[at:]]),
    "one part": lambda merges, at: lines([VERSION, *merges[:at], b"ab", *merges[at:]]),
    "unknown parts": lambda merges, at: lines([VERSION, *merges, b"zz zz"]),
    "unknown whole": lambda merges, at: lines([VERSION, *merges, b"z z"]),
    "two blanks": lambda merges, at: lines([VERSION, *merges[:at], b"a  b", *merges[at:]]),
    "a blank behind": lambda merges, at: lines([VERSION, *[merge + b" " for merge in merges]]),
    "counts behind": lambda merges, at: lines([VERSION, *[merge + b" 7" for merge in merges]]),
    "latin-1": lambda merges, at: lines([VERSION, *merges, b"\xe9 a"]),
    "byte order mark": lambda merges, at: b"\xef\xbb\xbf" + lines([VERSION, *merges]),
    "UTF-16": lambda merges, at: lines([VERSION, *merges]).decode().encode("utf-16"),
    "empty": lambda merges, at: b"",
    "shorter": lambda merges, at: lines([VERSION, *merges[:at]]),
    "reversed": lambda merges, at: lines([VERSION, *merges[::-1]]),
}


def odd_id(vocabulary: dict[str, Any], random: Random) -> tuple[str, Any]:
    """Give a word an odd id."""
    word, id = random.choice(sorted(vocabulary)), random.choice([*ODD, 5, 279, 280, 2**32, 6.0])
    return f"{word!r} = {shown(id)}", {**vocabulary, word: id}


def word_gone(vocabulary: dict[str, Any], random: Random) -> tuple[str, Any]:
    """Take a word away, a special token in half of the cases."""
    words = ["<s>", "</s>", "<pad>", "<unk>", "<mask>"]
    word = random.choice(words if random.random() < 0.5 else sorted(vocabulary))
    return repr(word), {key: id for key, id in vocabulary.items() if key != word}


def word_more(vocabulary: dict[str, Any], random: Random) -> tuple[str, Any]:
    """Add a word behind the last, or far behind it."""
    id = random.choice([279, 280, 1000, 10**6, 10**9])
    return f"zebra = {id}", {**vocabulary, "zebra": id}


def word_twice(vocabulary: dict[str, Any], random: Random) -> tuple[str, Any]:
    """Name a word twice, with two ids."""
    word, id = random.choice(sorted(vocabulary)), random.randrange(279)
    return f"{word!r} = {id}", Pairs([*vocabulary.items(), (word, id)])


def same_id(vocabulary: dict[str, Any], random: Random) -> tuple[str, Any]:
    """Give two words one id."""
    word, other = random.choice(sorted(vocabulary)), random.choice(sorted(vocabulary))
    return f"{word!r} as {other!r}", {**vocabulary, word: vocabulary[other]}


def odd_whole(vocabulary: dict[str, Any], random: Random) -> tuple[str, Any]:
    """Let the file hold something else."""
    value = random.choice([*ODD, list(vocabulary), {"<unk>": 3}])
    return shown(value), value


VOCABULARIES: dict[str, Callable[[dict[str, Any], Random], tuple[str, Any]]] = {
    "odd id": odd_id,
    "an odd id": odd_id,
    "word gone": word_gone,
    "word more": word_more,
    "word twice": word_twice,
    "same id": same_id,
    "odd whole": odd_whole,
}

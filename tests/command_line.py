"""Commands in processes of their own, what they leave behind, and what they are given."""

import json
import os
import subprocess
import sys
from typing import NamedTuple

import numpy as np
from golden_files import GOLDEN

from minibert.common.escapes import has_controls

GELU = str(GOLDEN / "gelu")  # no Normalize module, and cosine
TEXTS = ["the cat sat.", "Dogs, cats and London!", "Café 中文"]
LONG = "the dog barks at the cat " * 10  # 62 tokens; the model takes 41
# Records of the fixture `files`, in every form that it has.
FORM_FILES = ["jsonl", "csv", "tsv", "jsonl.gz", "csv.gz", "tsv.gz", "parquet"]
RECORD_TEXTS = ['the "cat"', "Café, 中文"]
ODD = "\x1b]0;title\x07 \x9b31m \u202etxt.exe\u2069"  # what terminals obey


class Result(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def objects(self):
        """The objects of a JSON Lines output."""
        assert self.out == "" or self.out.endswith("\n")
        return [json.loads(line) for line in self.out.split("\n")[:-1]]

    @property
    def texts(self):
        return [line["text"] for line in self.objects]

    @property
    def vectors(self):
        return np.array([line["vector"] for line in self.objects], dtype=np.float32)


def process(*arguments, **options):
    """Run a command in a process of its own, with bytes in and out."""
    return subprocess.run(
        [sys.executable, "-m", "minibert", *map(str, arguments)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60, **options},
    )


def shell(line, **options):
    """A command as a shell runs it, {} being python -m minibert: its code, output and errors."""
    command = line.replace("{}", f"'{sys.executable}' -m minibert")
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60, **options)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def assert_untouched(old_output):
    assert old_output.read_bytes() == b"what an earlier run wrote"
    assert os.listdir(old_output.parent) == [old_output.name]


def assert_close(vectors, expected):
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-7)


def assert_not_obeyed(text):
    assert not has_controls(text.replace("\n", ""))

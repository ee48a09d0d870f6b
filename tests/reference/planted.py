"""Faults to plant in a copy of minibert, which fuzz.py must find. See fuzz.py --planted.

Each takes a mending back. A fault is found where the fuzzer, with the reference's outcomes from the
cache, has a finding that it has not without the fault.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent


class Planted(NamedTuple):
    """One change of a file, and the first seed that finds it."""

    file: str
    old: str
    new: str
    seed: int


PLANTED = {
    "a model_type of null is bert": Planted(
        "bert/load.py",
        'setting(path, {"model_type": "bert", **settings}, "model_type", str)',
        'setting(path, settings, "model_type", str, "bert")',
        0,
    ),
    "any number of layers": Planted("bert/load.py", "    check_layers(config, path)\n", "", 64),
    "an added token's id is not looked at": Planted(
        "tokens/load.py", "not is_id(id) or text", "int(id) < 0 or text", 13
    ),
    "vocab.txt is left to the library": Planted(
        "tokens/backends.py", '        read_text(folder / "vocab.txt")', "        #", 75
    ),
    "an empty word counts": Planted(
        "tokens/load.py", "vocabulary.items() if token)", "vocabulary.items())", 283
    ),
    "a broken pooler is refused": Planted(
        "bert/layout.py", '        return {"no_pooler": str(error)}\n', "        raise\n", 105
    ),
    "a folder in a file's place": Planted(
        "common/json_files.py",
        "    except IsADirectoryError:\n",
        "    except ZeroDivisionError:\n",
        366,
    ),
    "half of a surrogate pair": Planted(
        "common/json_files.py", "        check_characters(path, content)\n", "        pass\n", 261
    ),
    "flags of a token are not looked at": Planted(
        "tokens/load.py", "if not isinstance(flag, bool)]", "if False]", 54
    ),
    "vectors of NaN": Planted(
        "models/scheduler.py", "if all(map(is_finite, results)):", "if True:", 9
    ),
}


def find_planted(seeds: int, cache: Path) -> int:
    """Plant each fault and print the first seed that finds it; 1 where one is not found."""
    lost = 0
    for name, planted in PLANTED.items():
        found = run_planted(planted, 0, seeds, cache)
        print(f"{name}: {found.splitlines()[0] if found else 'NOT FOUND'}", flush=True)
        lost += not found
    return int(lost > 0)


def run_planted(planted: Planted, first: int, seeds: int, cache: Path) -> str:
    """Run the fuzzer on a copy with the fault, up to its first finding: what it printed of that."""
    with TemporaryDirectory() as top:
        package = Path(top) / "minibert"
        shutil.copytree(ROOT / "minibert", package, ignore=shutil.ignore_patterns("__pycache__"))
        path = package / planted.file
        content = path.read_text(encoding="utf-8")
        assert content.count(planted.old) == 1, f"{planted.old!r} is not once in {planted.file}"
        path.write_text(content.replace(planted.old, planted.new), encoding="utf-8")
        command = [sys.executable, Path(__file__).with_name("fuzz.py"), "--only", "minibert"]
        options = f"--stop --first {first} --seeds {seeds} --cache {cache}".split()
        run = subprocess.run(
            [*command, *options], capture_output=True, text=True,
            env=os.environ | {"PYTHONPATH": top}, check=False,
        )  # fmt: skip
        assert run.returncode in (0, 1), run.stderr
        return run.stdout if run.returncode else ""

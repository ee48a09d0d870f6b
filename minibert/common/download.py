"""A file of the web, under sentence-transformers' name. Models are fetched by checkpoint/."""

from __future__ import annotations

import os
from pathlib import Path

from minibert.common.files import replacing
from minibert.common.progress import progress, wanted

__all__ = ["http_get"]

CHUNK = 1 << 20  # bytes


def http_get(url: str, path: str | os.PathLike[str]) -> None:
    """Download a file of http or https to a path, whole or not at all; its folder is created.

    Raises ValueError for another address, OSError if it cannot be fetched (HTTPError among them),
    ends too early, or cannot be written.
    """
    from urllib.request import urlopen

    if not url.startswith(("http://", "https://")):
        raise ValueError(f"The address is {url!r:.80}; expected one that begins with https://.")
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with urlopen(url) as answer, replacing(target) as file:
        length = answer.headers.get("Content-Length")
        total = None if length is None else int(length)
        with progress(total, wanted(None), unit="B") as advance:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                advance(len(chunk))
        if total is not None and file.tell() != total:
            raise OSError(f"{url} ended after {file.tell()} of {total} bytes. Fetch it again.")

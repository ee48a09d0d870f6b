"""A hub that is not there: what stands for it, and a process with an environment of its own."""

import os
import subprocess
import sys

from huggingface_hub.errors import LocalEntryNotFoundError

TINY = "sentence-transformers/tiny"


def python(code, *arguments, **environment):
    """Run code in a process of its own, for what is read from the environment at import."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


class Hub:
    """Stands in for huggingface_hub.snapshot_download: nothing is cached, all can be had."""

    def __init__(self, folder):
        self.folder = folder
        self.looks, self.downloads, self.listed = [], [], []

    def __call__(self, name, **options):
        call = {"name": name, **options}
        if options["local_files_only"]:
            self.looks.append(call)
            raise LocalEntryNotFoundError("nothing is cached")
        self.downloads.append(call)
        return str(self.folder)

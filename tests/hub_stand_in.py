"""A hub that is not there: what stands for it, and a process with an environment of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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


class WritableHub:
    """Stands in for huggingface_hub.HfApi: repositories are folders, a branch a folder in them."""

    def __init__(self, root, owner="me"):
        self.root, self.owner = root, owner
        self.tokens, self.made, self.commits = [], [], []

    def __call__(self, token=None):
        self.tokens.append(token)
        return self

    def branch(self, name, revision=None):
        return self.root / name / (revision or "main")

    def create_repo(self, name, *, private, exist_ok):
        name = name if "/" in name else f"{self.owner}/{name}"
        if (self.root / name).exists() and not exist_ok:
            raise OSError(f"409 Conflict: {name} is there")
        self.branch(name).mkdir(parents=True, exist_ok=True)
        self.made.append((name, private))
        return SimpleNamespace(repo_id=name)

    def create_branch(self, name, *, branch, exist_ok):
        self.branch(name, branch).mkdir(exist_ok=exist_ok)

    def file_exists(self, name, file, *, revision):
        return (self.branch(name, revision) / file).exists()

    def upload_folder(self, *, repo_id, folder_path, commit_message, revision, create_pr):
        target = self.branch(repo_id, "pr-1" if create_pr else revision)
        shutil.copytree(Path(folder_path), target, dirs_exist_ok=True)
        self.commits.append(commit_message)
        return SimpleNamespace(commit_url=f"{repo_id}/commit", pr_url=f"{repo_id}/discussions/1")

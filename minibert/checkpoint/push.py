"""A model's folder -> a repository of the hub. Start at push.

This file alone writes to the network. It imports the hub's library in its functions, as few
programs publish a model.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from minibert.checkpoint.repository import first_line, hub_errors
from minibert.errors import OutputError

__all__ = ["Push", "push"]

CARD = "README.md"


class Push(NamedTuple):
    """Arguments of push_to_hub, apart from the repository's name."""

    token: str | None = None  # None is HF_TOKEN, or the stored one
    private: bool | None = None  # of a new repository; None is the account's default
    commit_message: str = "Add a model"
    exist_ok: bool = False  # True also writes to a repository that is there
    replace_model_card: bool = False  # True also replaces a README.md that is there
    revision: str | None = None  # branch, made if it is missing; None is the main branch
    create_pr: bool = False  # True proposes the change, and writes to no branch


def push(repo_id: str, how: Push, write: Callable[[Path], object], folder: str | None) -> str:
    """Upload the files of `folder`, else those that `write` writes into a new one.

    Returns the address of the commit, or of the pull request. A README.md on the hub stays where
    `how` does not replace it, unless `folder` is given.

    Raises OutputError if the hub refuses, and the errors of `write` before anything is sent.
    """
    if folder is not None:
        if not Path(folder).is_dir():
            raise FileNotFoundError(f"local_model_path is {folder!r:.80}, which is no folder.")
        return uploaded(repo_id, how, Path(folder), keeps_card=False)
    with tempfile.TemporaryDirectory() as temporary:
        write(Path(temporary))
        return uploaded(repo_id, how, Path(temporary), keeps_card=not how.replace_model_card)


def uploaded(repo_id: str, how: Push, folder: Path, *, keeps_card: bool) -> str:
    """Upload a folder, as `push` tells."""
    from huggingface_hub import HfApi

    api = HfApi(token=how.token)
    try:
        repository = api.create_repo(
            repo_id, private=how.private, exist_ok=how.exist_ok or how.create_pr
        )
        name = repository.repo_id  # with the account's name, if it was left out
        if how.revision is not None:
            api.create_branch(name, branch=how.revision, exist_ok=True)
        if keeps_card and api.file_exists(name, CARD, revision=how.revision):
            (folder / CARD).unlink(missing_ok=True)
        commit = api.upload_folder(
            repo_id=name, folder_path=folder, commit_message=how.commit_message,
            revision=how.revision, create_pr=how.create_pr,
        )  # fmt: skip
    except tuple(hub_errors()) as error:
        raise OutputError(
            f"{repo_id}: the hub did not take the model ({first_line(error)}). Check the name, the "
            "network, and that the token (token=, or HF_TOKEN) may write; a repository that is "
            "there needs exist_ok=True."
        ) from error
    return str(commit.pr_url if how.create_pr else commit.commit_url)

"""A model that is both real and quick."""

import os
import shutil

import pytest
from golden_files import edit_json


@pytest.fixture(scope="session")
def short_folder(minilm_folder, tmp_path_factory):
    """The real MiniLM, which reads 48 tokens of a text: round trips wait for the model alone."""
    folder = tmp_path_factory.mktemp("short") / "minilm"
    shutil.copytree(minilm_folder, folder, copy_function=os.symlink)
    settings = folder / "sentence_bert_config.json"
    settings.unlink()  # a link
    edit_json(settings, max_seq_length=48, do_lower_case=False)
    return folder

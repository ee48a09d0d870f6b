"""A model that is both real and quick, and the command `llm` with the plugin."""

import os
import shutil

import pytest
from click.testing import CliRunner
from golden_files import edit_json
from llm.plugins import pm

from minibert.integrations import llm as plugin

if not pm.has_plugin("minibert"):  # where this checkout is on the path, and is not installed
    pm.register(plugin, "minibert")
from llm.cli import cli  # it asks the plugins for their commands


@pytest.fixture(scope="session")
def short_folder(minilm_folder, tmp_path_factory):
    """The real MiniLM, which reads 48 tokens of a text: round trips wait for the model alone."""
    folder = tmp_path_factory.mktemp("short") / "minilm"
    shutil.copytree(minilm_folder, folder, copy_function=os.symlink)
    settings = folder / "sentence_bert_config.json"
    settings.unlink()  # a link
    edit_json(settings, max_seq_length=48, do_lower_case=False)
    return folder


@pytest.fixture
def llm_home(tmp_path, monkeypatch):
    """Folder of llm's settings and collections, with nothing in it."""
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path / "llm"))
    return tmp_path / "llm"


@pytest.fixture
def command(llm_home):
    """Run `llm` with arguments: command(*arguments) -> its result."""

    def ran(*arguments, input=None):
        return CliRunner().invoke(cli, [*map(str, arguments)], input=input)

    return ran

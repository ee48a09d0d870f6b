"""The plugin of `llm`: registered models, collections that are opened again, bad models."""

import json
import os
import sys
from importlib import import_module, metadata

import llm
import numpy as np
import pytest
import sqlite_utils
from exact_neighbours import assert_nearest
from golden_files import copy_of, edit_json
from hub_stand_in import python
from prompted import DOCUMENT, PROMPTS

from minibert import SentenceTransformer
from minibert.errors import CorpusError
from minibert.integrations import llm as plugin


@pytest.fixture
def registered(command, folder):
    """The tiny model as minibert/gelu, which is also called tiny."""
    done = command("minibert", "register", folder, "--alias", "tiny")
    assert (done.exit_code, done.output) == (0, "")
    return folder


def test_llm_finds_the_plugin_by_itself():
    (entry,) = [e for e in metadata.entry_points(group="llm") if e.name == "minibert"]
    assert entry.load() is plugin


def test_a_reopened_collection_finds_the_nearest(command, llm_home, cranfield, short_folder):
    name = short_folder.name
    assert command("minibert", "register", short_folder).exit_code == 0
    rows = "".join(
        json.dumps({"id": id, "text": text}) + "\n" for id, text in cranfield.documents.items()
    )
    done = command(
        "embed-multi", "notes", "-", "--format", "nl", "-m", f"minibert/{name}", input=rows
    )
    assert done.exit_code == 0, done.output
    # The collection itself names the model.
    collection = llm.Collection(
        "notes", sqlite_utils.Database(llm_home / "embeddings.db"), create=False
    )
    assert collection.model_id == f"minibert/{name}"
    found = [
        [hit.id for hit in collection.similar(query, number=10)]
        for query in cranfield.queries.values()
    ]
    assert_nearest(SentenceTransformer(short_folder), cranfield, found)
    query = next(iter(cranfield.queries.values()))
    lines = command("similar", "notes", "-c", query).output.splitlines()
    assert [json.loads(line)["id"] for line in lines] == found[0]


def test_a_model_goes_by_its_id_and_its_aliases(command, registered):
    listed = command("embed-models").output
    assert "MinibertModel: minibert/gelu (aliases: tiny)" in listed
    assert "MinibertModel: minibert/all-MiniLM-L6-v2\n" in listed  # before it is registered
    expected = SentenceTransformer(registered).encode(["a cat"])[0]
    for name in ("tiny", "minibert/gelu"):
        vector = json.loads(command("embed", "-m", name, "-c", "a cat").output)
        np.testing.assert_allclose(vector, expected, atol=1e-7)


def test_texts_of_many_batches_keep_their_order(llm_home, registered):
    texts = [f"cat {number}" for number in range(300)]
    vectors = list(llm.get_embedding_model("tiny").embed_multi(iter(texts)))
    np.testing.assert_allclose(vectors, SentenceTransformer(registered).encode(texts), atol=1e-6)
    assert {type(number) for number in vectors[0]} == {float}
    with pytest.raises(ValueError, match="does not support binary"):
        llm.get_embedding_model("tiny").embed(b"\x00")


def test_the_prompt_for_documents_is_taken_and_that_is_said(command, folder):
    edit_json(folder / "config_sentence_transformers.json", prompts=PROMPTS)
    done = command("minibert", "register", folder)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "llm embeds questions, too, with the prompt for documents.\n"
    expected = SentenceTransformer(folder).encode_document([DOCUMENT])
    assert llm.get_embedding_model("minibert/gelu").embed(DOCUMENT) == expected[0].tolist()


def test_a_model_for_another_metric_is_refused(command, dot_folder):
    done = command("minibert", "register", dot_folder)
    assert done.exit_code == 1
    assert f"The metric of {dot_folder} is 'dot', but llm compares by 'cosine', " in done.output
    assert command("minibert", "register", dot_folder, "--similarity", "cosine").exit_code == 0
    assert len(llm.get_embedding_model("minibert/gelu_new").embed("a")) == 20
    written = llm.user_dir() / "minibert.json"
    edit_json(written, **{"minibert/x": {"model": str(dot_folder)}})
    with pytest.raises(ValueError, match="but llm compares by 'cosine'"):
        llm.get_embedding_model("minibert/x").embed("a")


def test_a_folder_that_holds_another_model_now_is_refused(command, llm_home, registered, tmp_path):
    assert command("embed", "notes", "1", "-m", "tiny", "-c", "a cat").exit_code == 0
    registered.rename(tmp_path / "gone")
    copy_of("relu", tmp_path).rename(registered)
    plugin_s_models_are_opened_anew()
    collection = llm.Collection("notes", sqlite_utils.Database(llm_home / "embeddings.db"))
    with pytest.raises(CorpusError, match=f"vectors are not of {registered}"):
        collection.similar("a cat")


def plugin_s_models_are_opened_anew():
    """As in a new process."""
    from minibert.integrations.stored_model import opened

    opened.cache_clear()


def test_a_command_with_a_bad_model_ends_in_one_line(command, registered, tmp_path):
    assert command("embed", "notes", "1", "-m", "tiny", "-c", "a cat").exit_code == 0
    registered.rename(tmp_path / "gone")
    plugin_s_models_are_opened_anew()
    done = command("similar", "notes", "-c", "a cat")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert str(registered) in done.stderr
    copy_of("relu", tmp_path).rename(registered)
    done = command("similar", "notes", "-c", "a cat")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: minibert/gelu's vectors are not of {registered}")
    assert "forget it by `llm minibert unregister minibert/gelu`, register it again" in done.stderr


def test_a_collection_is_not_opened_without_its_model(command, llm_home, registered):
    assert command("embed", "notes", "1", "-m", "tiny", "-c", "a cat").exit_code == 0
    assert command("minibert", "unregister", "minibert/gelu").exit_code == 0
    collection = llm.Collection("notes", sqlite_utils.Database(llm_home / "embeddings.db"))
    with pytest.raises(llm.UnknownModelError, match="Unknown model: minibert/gelu"):
        collection.similar("a cat")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["register", "{folder}"], "minibert/gelu is there already; give another --id.\n"),
        (["register", "{folder}/none"], "is no folder"),
        (["register", "{folder}", "--id", "x", "--similarity", "angle"], "'angle'"),
        (
            ["register", "{folder}", "--id", "tiny"],
            "tiny is there already, as an alias of minibert/gelu; give another --id.\n",
        ),
        (["register", "{folder}", "--id", ""], "--id is empty; give a name, or leave it out.\n"),
        (
            ["register", "{folder}", "--id", "x", "--alias", "tiny"],
            "tiny is there already, as an alias of minibert/gelu; give another --alias.\n",
        ),
        (
            ["register", "{folder}", "--id", "x", "--alias", "minibert/all-MiniLM-L6-v2"],
            "minibert/all-MiniLM-L6-v2 is there already; give another --alias.\n",
        ),
        (
            ["register", "{folder}", "--id", "x", "--alias", "y", "--alias", ""],
            "--alias is empty; give a name, or leave it out.\n",
        ),
        (["unregister", "x"], "x is not registered; registered are: minibert/gelu.\n"),
    ],
)
def test_bad_registrations_are_refused(command, registered, arguments, message):
    before = (llm.user_dir() / "minibert.json").read_bytes()
    done = command("minibert", *(text.format(folder=registered) for text in arguments))
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert message in done.output
    assert (llm.user_dir() / "minibert.json").read_bytes() == before


def test_the_offered_name_may_be_registered(command, folder):
    name = "minibert/all-MiniLM-L6-v2"
    assert command("minibert", "register", folder, "--id", name).exit_code == 0
    assert len(llm.get_embedding_model(name).embed("a")) == 20
    done = command("minibert", "register", folder, "--id", name)
    assert done.output == f"Error: {name} is there already; give another --id.\n"


def test_a_model_is_forgotten_by_its_alias(command, registered):
    assert command("minibert", "unregister", "tiny").exit_code == 0
    assert "minibert/gelu" not in command("embed-models").output
    done = command("minibert", "unregister", "tiny")
    assert done.output == "Error: tiny is not registered; no model is.\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "minibert.json holds a list; expected an object"),
        ("{", "minibert.json is not valid JSON"),
        ('{"x": 3}', "minibert.json: 'x' is 3; expected an object with the name of its \"model\""),
        ('{"x": {}}', "minibert.json: 'x' is {}; expected an object with the name of its"),
    ],
)
def test_a_damaged_list_of_models_stops_no_other(command, registered, caplog, content, message):
    (llm.user_dir() / "minibert.json").write_text(content)
    done = command("embed-models")
    assert (done.exit_code, "minibert" in done.stdout) == (0, False)
    (warning,) = caplog.messages
    assert warning.startswith("minibert offers no model to llm. ")
    assert message in warning
    for arguments in (["register", registered], ["unregister", "tiny"]):
        done = command("minibert", *arguments)
        assert (done.exit_code, done.stdout) == (1, "")
        assert message in done.stderr
        assert done.stderr.startswith("Error: ")


def test_an_llm_that_is_too_old_works_without_us(command, folder, tmp_path, monkeypatch, caplog):
    metadata_of_old = tmp_path / "llm-0.19.dist-info" / "METADATA"
    metadata_of_old.parent.mkdir()
    metadata_of_old.write_text("Metadata-Version: 2.1\nName: llm\nVersion: 0.19\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("llm", "llm_model"):
        monkeypatch.delitem(sys.modules, f"minibert.integrations.{name}", raising=False)
    import_module("minibert.integrations.llm")  # as llm does at each of its commands
    done = command("embed-models")
    assert (done.exit_code, "minibert" in done.stdout) == (0, False)
    (warning,) = caplog.messages
    assert warning.startswith("minibert offers no model to llm. ")
    assert "needs llm 0.20 or later; 0.19 is installed here" in warning
    done = command("minibert", "register", folder)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: minibert.integrations.llm_model needs llm 0.20 or later")


def test_a_relative_folder_is_found_from_anywhere(command, folder, monkeypatch, tmp_path):
    monkeypatch.chdir(folder.parent)
    assert command("minibert", "register", "gelu/", "--id", "here").exit_code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    plugin_s_models_are_opened_anew()
    assert len(llm.get_embedding_model("here").embed("a")) == 20


def test_a_command_that_embeds_nothing_loads_no_model(llm_home, registered):
    program = (
        "import sys; from minibert.integrations import llm as plugin; from llm.cli import cli\n"
        "from llm.plugins import pm; pm.has_plugin('minibert') or pm.register(plugin, 'minibert')\n"
        "import llm; print([model.model_id for model in llm.get_embedding_models()])\n"
        "print({'safetensors', 'tokenizers', 'minibert.models'} & sys.modules.keys())\n"
    )
    done = python(program, LLM_USER_PATH=str(llm_home), PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    assert done.returncode == 0, done.stderr
    models, loaded = done.stdout.splitlines()
    assert "minibert/gelu" in models
    assert loaded == "set()"

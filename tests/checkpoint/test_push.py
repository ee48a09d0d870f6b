"""Models pushed to a hub that is a folder: their files, cards, branches and refusals."""

import inspect

import huggingface_hub
import numpy as np
import pytest
from hub_stand_in import WritableHub, python

from minibert import CrossEncoder, OutputError, SentenceTransformer


@pytest.fixture
def writable_hub(tmp_path, monkeypatch):
    """A hub of repositories that are folders."""
    hub = WritableHub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "HfApi", hub)
    return hub


@pytest.mark.parametrize("method", ["create_repo", "create_branch", "file_exists", "upload_folder"])
def test_the_stand_in_takes_arguments_of_the_hub_s_library(method):
    theirs = inspect.signature(getattr(huggingface_hub.HfApi, method)).parameters
    ours = inspect.signature(getattr(WritableHub, method)).parameters
    named = {name for name, parameter in ours.items() if parameter.kind is parameter.KEYWORD_ONLY}
    assert named <= set(theirs)
    assert len(theirs) >= len(ours)


def test_a_pushed_model_is_the_model(writable_hub, texts, folder):
    model = SentenceTransformer(folder, on_long="ignore", prompts={"query": "a "})
    assert model.push_to_hub("mine", token="secret", private=True) == "me/mine/commit"
    assert (writable_hub.tokens, writable_hub.made) == (["secret"], [("me/mine", True)])
    assert writable_hub.commits == ["Add a SentenceTransformer"]
    pushed = SentenceTransformer(writable_hub.branch("me/mine"), on_long="ignore")
    np.testing.assert_array_equal(pushed.encode(texts), model.encode(texts))
    assert pushed.prompts == model.prompts


def test_a_pushed_cross_encoder_scores_the_same(writable_hub, one_label):
    scorer = CrossEncoder(one_label)
    scorer.push_to_hub("you/ranks", commit_message="Better", revision="new")
    assert writable_hub.commits == ["Better"]
    pushed = CrossEncoder(writable_hub.branch("you/ranks", "new"))
    np.testing.assert_array_equal(pushed.predict(("a", "b")), scorer.predict(("a", "b")))
    assert list(writable_hub.branch("you/ranks").iterdir()) == []


def test_a_card_on_the_hub_stays_unless_it_is_replaced(writable_hub, folder):
    (folder / "README.md").write_text("New.")
    model = SentenceTransformer(folder)
    model.push_to_hub("me/mine")
    card = writable_hub.branch("me/mine") / "README.md"
    assert card.read_text() == "New."  # there was none
    card.write_text("Written by hand.")
    model.push_to_hub("me/mine", exist_ok=True)
    assert card.read_text() == "Written by hand."
    model.push_to_hub("me/mine", exist_ok=True, replace_model_card=True)
    assert card.read_text() == "New."


def test_a_pull_request_writes_to_no_branch(writable_hub, folder):
    writable_hub.branch("me/mine").mkdir(parents=True)
    model = SentenceTransformer(folder)
    assert model.push_to_hub("me/mine", create_pr=True) == "me/mine/discussions/1"
    assert list(writable_hub.branch("me/mine").iterdir()) == []


def test_a_local_folder_is_pushed_as_it_is(writable_hub, folder, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README.md").write_text("As it is.")
    model = SentenceTransformer(folder)
    model.push_to_hub("me/mine", local_model_path=str(tmp_path / "other"))
    assert [path.name for path in writable_hub.branch("me/mine").iterdir()] == ["README.md"]
    with pytest.raises(FileNotFoundError, match="local_model_path is 'nowhere', which is no fol"):
        model.push_to_hub("me/yours", local_model_path="nowhere")


def test_an_older_name_pushes_too(writable_hub, folder):
    model = SentenceTransformer(folder)
    model.save_to_hub(repo_name="mine", organization="us", private=False)
    assert writable_hub.made == [("us/mine", False)]
    assert writable_hub.commits == ["Add new model."]
    with pytest.raises(ValueError, match="repo_id is 'me/mine', and organization 'us'; give one"):
        model.save_to_hub("me/mine", "us")


def test_a_push_that_the_hub_refuses_says_what_to_do(writable_hub, folder):
    model = SentenceTransformer(folder)
    model.push_to_hub("me/mine")
    with pytest.raises(OutputError, match=r"me/mine: .*409 Conflict.*needs exist_ok=True"):
        model.push_to_hub("me/mine")
    with pytest.raises(ValueError, match="safe_serialization is False"):
        model.push_to_hub("me/new", safe_serialization=False)
    model.prompts["query"] = 5
    with pytest.raises(ValueError, match="prompts is"):
        model.push_to_hub("me/new")
    assert not writable_hub.branch("me/new").exists()


@pytest.mark.slow
def test_no_push_is_tried_where_the_hub_is_off(folder):
    program = f"""
from minibert import OutputError, SentenceTransformer
try:
    SentenceTransformer({str(folder)!r}).push_to_hub("me/mine", token="t")
except OutputError as error:
    print(error)
"""
    assert "me/mine: the hub did not take" in python(program, HF_HUB_OFFLINE="1").stdout

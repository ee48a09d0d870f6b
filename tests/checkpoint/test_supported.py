"""The table of families and much used models, and where it is shown."""

import json
import re
from pathlib import Path

import pytest
from golden_files import GOLDEN

from minibert.bert.families import FAMILIES
from minibert.checkpoint.supported import supported
from minibert.commands import cli

MODELS_PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def test_models_that_run_are_of_families_that_run():
    found = supported()
    assert found["families"] == list(FAMILIES)
    assert len(found["models"]) >= 30
    for model in found["models"]:
        if model["runs"]:
            assert model["model_type"] in FAMILIES
        else:
            assert model["remark"]
        assert model["sources"]


def test_the_page_of_models_has_what_the_command_prints(capsys):
    """A value that no source had is a blank cell there, and null here."""
    assert cli.main(["info", "--supported", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    page = MODELS_PAGE.read_text(encoding="utf-8")
    sources = re.findall(r"^\d+\. [<`](.*)[>`]$", page, re.MULTILINE)
    rows = [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in page.splitlines()
        if re.match(r"\| `[^`]*/", line)
    ]
    assert len(rows) == len(models)
    for row, model in zip(rows, models, strict=True):
        keys = ("model_type", "dimensions", "max_seq_length", "pooling", "metric")
        assert row[0] == f"`{model['model']}`"
        assert row[1:6] == ["" if model[key] is None else str(model[key]) for key in keys]
        for text in (model["prompts"] or {}).values():
            assert text.strip().replace("\n", "\\n") in row[6]
        assert bool(row[6]) == bool(model["prompts"])
        assert row[7].startswith("yes" if model["runs"] else "no")
        assert [sources[int(number) - 1] for number in row[8].split()] == model["sources"]


def test_supported_models_are_a_table_for_readers(capsys):
    assert cli.main(["info", "--supported"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"families: {', '.join(FAMILIES)}"
    row = next(line for line in lines if line.startswith("sentence-transformers/all-mpnet-base"))
    assert row.split() == ["sentence-transformers/all-mpnet-base-v2", "mpnet", "768", "384",
                           "cosine", "yes"]  # fmt: skip


@pytest.mark.parametrize("arguments", [["info"], ["info", "folder", "--supported"]])
def test_info_takes_a_model_or_asks_for_all(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "--supported" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("modernbert", ("local_layers", [1, 2])),
        ("electra", ("embedding_size", 12)),
        ("albert", ("num_hidden_groups", 2)),
        ("roberta", ("pad_token_id", 1)),
    ],
)
def test_info_shows_facts_of_one_family_alone(name, fact, capsys):
    assert cli.main(["info", str(GOLDEN / name), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts[fact[0]] == fact[1]
    assert facts["model_type"] == name
    assert "relative_attention_num_buckets" not in facts  # 32 everywhere, and MPNet's alone

"""docs/integrations.md: the sections about these frameworks, each as a program."""

import shlex

import pytest
from recipe_pages import INTEGRATIONS, LIGHT, run_section, sections

SECTIONS = sections(INTEGRATIONS)

pytestmark = pytest.mark.usefixtures("minilm_by_name")


@pytest.mark.parametrize("section", [name for name in LIGHT if name != "llm"])
def test_a_section_runs_and_prints_what_it_says(section, capsys):
    run_section(SECTIONS[section], capsys)


def test_the_commands_of_llm_find_the_dog(command, tmp_path):
    (tmp_path / "animals.csv").write_text("id,text\n1,A dog barks.\n2,A cat sleeps.\n")
    ((language, commands),) = SECTIONS["llm"]
    assert language == "sh"
    for line in commands.splitlines():
        program, *arguments = shlex.split(line)
        done = command(*arguments)
        assert (program, done.exit_code) == ("llm", 0), done.output
    assert done.output.startswith("1 (0.")
    assert "A dog barks." in done.output

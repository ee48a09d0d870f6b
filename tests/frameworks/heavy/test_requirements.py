"""docs/integrations.md: its commands install all that a package requires, but for torch."""

import re
from importlib.metadata import requires

import pytest
from recipe_pages import INTEGRATIONS

ROW = re.compile(
    r"^\| .* \| `pip install --no-deps (\S+)`, `pip install ([^`]+)` \|$", re.MULTILINE
)
ROWS = dict(ROW.findall(INTEGRATIONS.read_text(encoding="utf-8")))
LEFT_OUT = {"sentence-transformers", "torch"}


def test_the_packages_with_torch_have_commands():
    assert {"bertopic", "keybert", "txtai"} <= ROWS.keys()


@pytest.mark.parametrize("package", ["bertopic", "keybert", "txtai"])
def test_a_package_s_commands_leave_out_torch_alone(package):
    required = {
        re.match(r"[\w-]+", line)[0] for line in requires(package) if "extra ==" not in line
    }
    assert required & LEFT_OUT
    assert set(ROWS[package].split()) == required - LEFT_OUT

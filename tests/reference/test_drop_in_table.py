"""The table of names in docs/drop-in.md, made anew of the two packages' public names."""

import make_drop_in
import pytest


@pytest.fixture(scope="module")
def compared_modules():
    return make_drop_in.compared()


def test_the_table_is_that_of_the_two_packages(compared_modules):
    page = make_drop_in.PAGE.read_text(encoding="utf-8")
    assert make_drop_in.with_table(page, compared_modules) == page, "run tools/make_drop_in.py"


def test_every_name_is_there_or_has_a_reason(compared_modules):
    assert make_drop_in.unexplained(compared_modules) == []


def test_no_reason_is_left_of_a_name_that_is_there(compared_modules):
    assert make_drop_in.unneeded(compared_modules) == []


def test_the_comparison_sees_names_members_and_parameters(compared_modules):
    there = {f"{module.name}.{name}" for module in compared_modules for name in module.there}
    missing = {name for module in compared_modules for name in module.missing}
    assert {".SentenceTransformer", "util.cos_sim", "losses.CoSENTLoss"} <= there
    assert {"SparseEncoder", "CrossEncoder.fit", "models.Dense(init_bias)"} <= missing
    assert not there & missing


def test_a_parameter_that_is_passed_on_is_there():
    def theirs(a, b, *rest, c=1, **others):
        pass

    def passing(a, **others):
        pass

    def lacking(a, c):
        pass

    assert [*make_drop_in.parameters("f", theirs, passing)] == []
    assert [*make_drop_in.parameters("f", theirs, lacking)] == ["f(b)"]

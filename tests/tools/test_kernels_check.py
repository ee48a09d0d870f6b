"""tools/kernels_check.py: which runs a processor has, and that each is what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "kernels_check.py"


@pytest.fixture
def kernels_check(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import kernels_check

    return kernels_check


V4 = ("X86_V4", "AVX512_ICL")
OLD_V3 = ("AVX", "F16C", "FMA3", "AVX2")
OLD_V4 = ("AVX512F", "AVX512CD", "AVX512_SKX")


@pytest.mark.parametrize(
    ("kernels", "features", "others"),
    [
        # What OpenBLAS chose, what is on, and then: kernels, what is switched off.
        ("SkylakeX", ("X86_V3", *V4), [("Haswell", V4), ("Nehalem", ("X86_V3", *V4))]),
        (
            "Sapphirerapids",
            ("X86_V3", *V4),
            [("SkylakeX", ()), ("Haswell", V4), ("Nehalem", ("X86_V3", *V4))],
        ),
        # A processor with AVX-512 whose kernels are for AVX2: as many features are on.
        (
            "Zen",
            ("X86_V3", *V4),
            [("SkylakeX", ()), ("Haswell", V4), ("Nehalem", ("X86_V3", *V4))],
        ),
        ("Haswell", ("X86_V3",), [("Nehalem", ("X86_V3",))]),
        ("Haswell", ("X86_V3", *V4), [("SkylakeX", ()), ("Haswell", V4),
                                      ("Nehalem", ("X86_V3", *V4))]),
        ("Zen", ("X86_V3",), [("Haswell", ()), ("Nehalem", ("X86_V3",))]),
        ("Sandybridge", (), [("Nehalem", ())]),
        ("Nehalem", (), []),
        # NumPy 2.2 and 2.3 name features one by one; a Knights Landing is no Skylake.
        (
            "SkylakeX",
            (*OLD_V3, *OLD_V4),
            [("Haswell", OLD_V4), ("Nehalem", (*OLD_V3, *OLD_V4))],
        ),
        (
            "Haswell",
            (*OLD_V3, "AVX512F", "AVX512CD"),
            [
                ("Haswell", ("AVX512F", "AVX512CD")),
                ("Nehalem", (*OLD_V3, "AVX512F", "AVX512CD")),
            ],
        ),
    ],
)  # fmt: skip
def test_every_family_that_a_processor_can_run_is_run_once(
    kernels_check, kernels, features, others
):
    own, *more, on, off = kernels_check.runs_of(kernels, features, can_choose=True)
    assert [(run.kernels, run.disabled) for run in more] == others
    for run in more:
        assert set(run.features) == set(features) - set(run.disabled)
        assert not run.is_own
    for run, asked in ((own, ""), (on, "on"), (off, "off")):
        assert run == kernels_check.Run(kernels, features, (), asked, is_own=True)


def test_every_test_that_is_named_is_there(kernels_check):
    for place in (*kernels_check.TESTS, *kernels_check.LEFT_OUT):
        file, _, name = place.partition("::")
        assert (f"def {name}(" if name else "def test_") in (ROOT / "tests" / file).read_text(
            encoding="utf-8"
        ), place


def test_kernels_chosen_outside_or_not_openblas_run_alone(kernels_check):
    runs = kernels_check.runs_of("Haswell", ["X86_V3", "X86_V4"], can_choose=False)
    assert [(run.kernels, run.disabled, run.tensor_parallel) for run in runs] == [
        ("Haswell", (), shares) for shares in ("", "on", "off")
    ]


def test_a_run_sets_its_variables_and_keeps_the_others(kernels_check):
    outer = {
        "PATH": "/bin",
        "NPY_DISABLE_CPU_FEATURES": "AVX512_SPR",
        "MINIBERT_TEST_TENSOR_PARALLEL": "on",
    }
    run = kernels_check.Run("Haswell", ("X86_V3",), ("X86_V4",), is_own=False)
    assert run.environment(outer) == {
        "PATH": "/bin",
        "NPY_DISABLE_CPU_FEATURES": "AVX512_SPR X86_V4",
        "OPENBLAS_CORETYPE": "Haswell",
    }
    own = kernels_check.Run("SkylakeX", ("X86_V3", "X86_V4"), tensor_parallel="off")
    assert own.environment({"PATH": "/bin"}) == {
        "PATH": "/bin",
        "MINIBERT_TEST_TENSOR_PARALLEL": "off",
    }


def test_a_run_that_is_not_what_it_says_is_an_error(kernels_check):
    _, kernels, features = kernels_check.what_computes()
    for asked in (("Cray", ",".join(features)), (kernels, "X86_V9")):
        done = subprocess.run(
            [sys.executable, TOOL, "--inside", *asked, "tests/scoring/test_hamming.py"],
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 1
        assert f"Asked for {asked[0]} kernels" in done.stderr


@pytest.mark.parametrize("is_red", [False, True])
def test_each_run_ends_with_a_line_and_a_red_one_with_code_1(kernels_check, tmp_path, is_red):
    """One test of a file of its own, whose pack comes alone; its process names its kernels."""
    _, kernels, features = kernels_check.what_computes()
    test = tmp_path / "test_lone.py"
    test.write_text(
        "from minibert.bert import tensor_parallel\n"
        "def test_lone():\n"
        f"    assert tensor_parallel.has_small_products() is not {is_red}\n"
    )
    (tmp_path / "conftest.py").write_bytes((ROOT / "tests" / "conftest.py").read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(test)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tools'}:{ROOT / 'tests'}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    run = kernels_check.Run(kernels, tuple(features), tensor_parallel="on")
    assert done.returncode == is_red, done.stderr
    count = "no test passed" if is_red else "1 passed in "
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"{run}: ")]
    assert count in line
    assert is_red or line.endswith("(tensor parallel on: 1 short packs came alone)")


PROGRAM = """
import sys
from kernels_check import Run, carried_out, what_computes

_, kernels, features = what_computes()
is_well, count = carried_out(Run(kernels, tuple(features), tensor_parallel="on"), sys.argv[1:])
assert count == is_well
sys.exit(not is_well)
"""

"""Run the tests of numbers once for every family of kernels that this processor can run.

    python tools/kernels_check.py

A BLAS and NumPy choose their kernels by the processor, and each family rounds in its own way. So
the same tests run with each: OpenBLAS's kernels by OPENBLAS_CORETYPE, together with the features
of NumPy that such a processor has. With the processor's own kernels they run twice more:
with tiles and tensor parallelism (minibert/bert/tensor_parallel.py) for every lone pack, and with
neither. If OPENBLAS_CORETYPE is set already, its kernels are the only ones.

Each run begins with a check that the named kernels compute, and ends with a line. No test is
skipped by processor: equally many tests must pass in all runs.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# OpenBLAS's kernels for each level of x86-64: those for AVX-512, for AVX2, and for neither.
FAMILIES = {4: "SkylakeX", 3: "Haswell", 2: "Nehalem"}
# A feature of NumPy that only a processor of the level has; NumPy 2.2 and 2.4 use other names.
MARKS = {4: {"X86_V4", "AVX512_SKX"}, 3: {"X86_V3", "AVX2"}}
OF_LEVEL_3 = {"AVX", "AVX2", "F16C", "FMA3", "FMA4", "X86_V3", "XOP"}

# Tests of numbers, not of files or commands: rounding could change their results.
TESTS = [
    "bert/test_backward.py",
    "bert/test_families.py",
    "bert/test_forward.py",
    "bert/test_hook.py",
    "bert/test_tensor_parallel.py",
    "corpus/test_building.py::test_the_number_of_threads_changes_no_byte",
    "corpus/test_graph.py",
    "corpus/test_search.py",
    "corpus/test_writer.py::test_codes_are_those_of_the_vectors",
    "explain/test_attribution.py",
    "explain/test_neighbours.py",
    "explain/test_occluding.py",
    "integrations/test_arrow.py",
    "kernels/test_activation_gradients.py",
    "kernels/test_activations.py",
    "kernels/test_cpu.py",
    "kernels/test_cpu_gradients.py",
    "models/test_bert_model.py",
    "models/test_cross_encoder.py",
    "models/test_encoding.py",
    "models/test_masked_lm.py",
    "models/test_paraphrases.py",
    "models/test_processes.py::test_four_processes_share_the_mapped_weights",
    "models/test_score_activations.py",
    "models/test_sentence_transformer.py",
    "models/test_trace.py",
    "models/test_trainable.py",
    "pictures/test_projection.py",
    "pooling/test_dense.py",
    "pooling/test_layer_norm.py",
    "pooling/test_modes.py",
    "pooling/test_normalize.py",
    "pooling/test_pipeline.py",
    "pooling/test_pooling.py",
    "scoring/test_hamming.py",
    "scoring/test_metrics.py",
    "scoring/test_mining.py",
    "scoring/test_nearest.py",
    "scoring/test_quantization.py",
    "scoring/test_semantic_search.py",
    "scoring/test_similarity.py",
    "scoring/test_top_k.py",
    "server/test_core.py",
    "server/test_tei.py",
    "server/test_unit_vectors.py",
    "test_golden.py",
    "test_reproducible.py",
    "training/test_losses.py",
    "training/test_optimizers.py",
]
# Not these: they take seconds and repeat others, or test no number.
LEFT_OUT = [
    "models/test_encoding.py::test_truncated_texts_are_reported_once_a_call",
    "models/test_encoding.py::test_long_texts_are_reported_once_whatever_is_shown",
    "models/test_encoding.py::test_rows_keep_the_order_of_their_texts_across_slices",
    "models/test_encoding.py::test_threads_may_share_a_model_and_leave_blas_as_it_was",
    "explain/test_attribution.py::test_another_partner_in_an_identical_text_has_a_longer_state",
    "explain/test_attribution.py::test_token_pairs_sum_to_200_scores_of_the_real_minilm",
    "pictures/test_projection.py::test_memory_does_not_grow_with_the_number_of_vectors",
]


class Run(NamedTuple):
    """One run of the tests."""

    kernels: str  # the BLAS's name for them
    features: tuple[str, ...] = ()  # NumPy's features that are on and could be switched off
    disabled: tuple[str, ...] = ()  # NumPy's features that are switched off
    tensor_parallel: str = ""  # "on", "off", or "" where the model decides
    is_own: bool = True  # whether the kernels are the BLAS's own choice here

    def __str__(self) -> str:
        features = " ".join(self.features) or "its baseline alone"
        tensor_parallel = (
            f", tensor parallel {self.tensor_parallel}" if self.tensor_parallel else ""
        )
        return f"{self.kernels} kernels, NumPy with {features}{tensor_parallel}"

    def environment(self, outer: dict[str, str]) -> dict[str, str]:
        """Return the variables of the run's process and its children."""
        changed = dict(outer)
        if not self.is_own:
            changed["OPENBLAS_CORETYPE"] = self.kernels
        if self.disabled:
            before = outer.get("NPY_DISABLE_CPU_FEATURES", "")
            changed["NPY_DISABLE_CPU_FEATURES"] = " ".join([before, *self.disabled]).strip()
        changed.pop("MINIBERT_TEST_TENSOR_PARALLEL", None)
        if self.tensor_parallel:
            changed["MINIBERT_TEST_TENSOR_PARALLEL"] = self.tensor_parallel
        return changed


def runs_of(kernels: str, features: Sequence[str], can_choose: bool) -> list[Run]:
    """List all runs, for the kernels that the BLAS chose here and the NumPy features that are on.

    `can_choose` is True for OpenBLAS on x86-64, unless its kernels are chosen already.
    """
    own = Run(kernels, tuple(features))
    others = [of_level(level, features) for level in levels_of(features)] if can_choose else []
    # Families that differ from the processor's choice in the kernels or in the features.
    others = [run for run in others if run.disabled or run.kernels.upper() != own.kernels.upper()]
    return [own, *others, own._replace(tensor_parallel="on"), own._replace(tensor_parallel="off")]


def levels_of(features: Collection[str]) -> list[int]:
    """List the levels of x86-64 of a processor with these features, the highest first."""
    return [level for level in FAMILIES if level == 2 or not MARKS[level].isdisjoint(features)]


def of_level(level: int, features: Sequence[str]) -> Run:
    """Make the run of a level: features above it are off, each by its name: none implies others."""
    on = tuple(name for name in features if level_of(name) <= level)
    off = tuple(name for name in features if level_of(name) > level)
    return Run(FAMILIES[level], on, off, is_own=False)


def level_of(feature: str) -> int:
    """Find the lowest level of x86-64 whose processors may have a feature of NumPy."""
    if feature == "X86_V4" or feature.startswith("AVX512"):
        return 4
    return 3 if feature in OF_LEVEL_3 else 2


def what_computes() -> tuple[str, str, list[str]]:
    """Name the BLAS of this process, its kernels, and the features of NumPy that are on."""
    import numpy as np
    from numpy._core import _multiarray_umath as numpy_core
    from threadpoolctl import ThreadpoolController

    np.dot(np.ones((2, 2)), np.ones((2, 2)))
    blas = [info for info in ThreadpoolController().info() if info["user_api"] == "blas"]
    library = blas[0] if blas else {}
    on = [name for name in numpy_core.__cpu_dispatch__ if numpy_core.__cpu_features__.get(name)]
    api = str(library.get("internal_api", "another BLAS"))
    return api, str(library.get("architecture", api)), on


def inside(run: Run, arguments: list[str]) -> int:
    """Run the tests in a process with the run's variables: -> pytest's exit code."""
    _, kernels, features = what_computes()
    if kernels.upper() != run.kernels.upper() or tuple(features) != run.features:
        found = Run(kernels, tuple(features))
        sys.exit(f"Asked for {run}, and what computes is {found}.")
    import pytest

    left_out = [f"--deselect=tests/{test}" for test in LEFT_OUT]
    return int(pytest.main(["-q", "-p", "no:cacheprovider", *left_out, *arguments]))


def carried_out(run: Run, tests: Sequence[str]) -> tuple[bool, int]:
    """Run the tests in a process of their own: -> whether they passed, and how many."""
    command = [sys.executable, __file__, "--inside", run.kernels, ",".join(run.features)]
    done = subprocess.run(
        [*command, *tests],
        cwd=ROOT, env=run.environment(dict(os.environ)), check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    summary = re.search(r"^(.*\b(\d+) passed.*) in ([\d.]+)s", done.stdout, re.MULTILINE)
    tiles = re.search(r"^tensor parallel on: (\d+) .*$", done.stdout, re.MULTILINE)
    is_well = done.returncode == 0 and summary is not None
    if run.tensor_parallel == "on" and not (tiles and int(tiles[1])):
        is_well = False
    if not is_well:
        print(done.stdout)
    said = f"{summary[1]} in {float(summary[3]):.0f} s" if summary else "no test passed"
    print(f"{run}: {said}" + (f" ({tiles[0]})" if tiles else ""), flush=True)
    return is_well, int(summary[2]) if summary else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inside", nargs=2, metavar=("KERNELS", "FEATURES"), help="for the runs")
    parser.add_argument("tests", nargs="*", help="tests to run (default: all tests of numbers)")
    options = parser.parse_args()
    if options.inside:
        kernels, features = options.inside
        run = Run(kernels, tuple(features.split(",")) if features else ())
        sys.exit(inside(run, options.tests))
    api, kernels, features = what_computes()
    is_known = api == "openblas" and platform.machine().lower() in ("x86_64", "amd64")
    is_chosen = "OPENBLAS_CORETYPE" in os.environ
    if is_chosen:
        print("OPENBLAS_CORETYPE is set: its kernels are the only ones that run.", flush=True)
    elif not is_known:
        where = f"{api} on {platform.machine()}"
        print(f"Here is {where}: only its own kernels run.", flush=True)
    tests = options.tests or [f"tests/{test}" for test in TESTS]
    runs = runs_of(kernels, features, is_known and not is_chosen)
    found = [carried_out(run, tests) for run in runs]
    counts = {count for _, count in found}
    if len(counts) > 1:
        print(f"Not equally many tests passed in all runs: {sorted(counts)}.")
    sys.exit(0 if all(is_well for is_well, _ in found) and len(counts) == 1 else 1)


if __name__ == "__main__":
    main()

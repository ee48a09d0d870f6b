"""Plant faults that look right, one at a time, and show that each turns a named test red.

    python tools/mutants.py            # all of them, two or three minutes
    python tools/mutants.py gelu       # those whose file, code or test holds a word

Run before a release, in the environment of tools/test.sh. Each fault is one changed line in a copy
of the package. The table names the test that should notice; if that test stays green, the fault
SURVIVED, and the tests have a hole.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Mutant(NamedTuple):
    """One line of a file, what it becomes, and the test that must then fail."""

    file: str
    old: str
    new: str
    test: str


GOLDEN = "test_golden.py::test_vectors_equal_sentence_transformers"
HIDDEN = "test_golden.py::test_the_last_hidden_state_equals_transformers_at_every_token"
POOLER = "test_golden.py::test_the_pooler_output_equals_transformers[gelu]"
LAYER_NORM = "test_kernels.py::test_layer_norm_agrees_with_the_textbook_in_float64"
ACTIVATION = "test_kernels.py::test_activations_agree_with_the_textbook_in_float64"

MUTANTS = [
    # arithmetic
    Mutant("kernels.py", "    product += bias\n", "",
           "test_kernels.py::test_linear_agrees_with_the_textbook_in_float64"),
    Mutant("kernels.py", "range(CHAIN, len(weight), CHAIN)", "range(CHAIN, len(weight) - 1, CHAIN)",
           "test_kernels.py::test_linear_agrees_at_every_number_of_chains"),
    Mutant("kernels.py", "np.sqrt(variance + epsilon)", "(np.sqrt(variance) + epsilon)",
           LAYER_NORM + "[0.01]"),
    Mutant("kernels.py", "np.sqrt(variance + epsilon)", "np.sqrt(variance + 1e-12)",
           GOLDEN + "[large_epsilon]"),
    Mutant("kernels.py", "np.vecdot(rows, rows) / width", "np.vecdot(rows, rows) / (width - 1)",
           LAYER_NORM + "[1e-12]"),
    Mutant("kernels.py", 'rows -= (np.einsum("nd->n", rows) / width)[:, None]', "pass",
           LAYER_NORM + "[1e-12]"),
    Mutant("kernels.py", "            fraction += square\n", "", ACTIVATION + "[gelu_]"),
    Mutant("kernels.py", "inner *= 0.044715 * (2 / np.pi) ** 0.5", "inner *= 0.044715",
           ACTIVATION + "[gelu_tanh_]"),
    Mutant("kernels.py", "logits /= logits.sum(axis=-1", "logits /= logits.sum(axis=-2",
           "test_kernels.py::test_softmax_agrees_with_the_textbook_in_float64"),
    Mutant("kernels.py", "logits -= logits.max(axis=-1, keepdims=True)", "pass",
           "test_kernels.py::test_softmax_of_huge_logits_does_not_overflow"),
    Mutant("kernels.py", "np.cumsum(lengths) - lengths", "np.cumsum(lengths) - lengths[0]",
           "test_kernels.py::test_segment_sum_adds_the_rows_of_each_text"),
    Mutant("kernels.py", "np.maximum(lengths, 1e-12)[:, None]", "lengths[:, None]",
           "test_kernels.py::test_normalize_leaves_a_row_of_zeros_as_it_is"),
    # the forward pass
    Mutant("bert.py", '"gelu": lambda kernels, x: kernels.gelu_(x)',
           '"gelu": lambda kernels, x: kernels.gelu_tanh_(x)', GOLDEN + "[gelu]"),
    Mutant("bert.py", '"gelu_new": lambda kernels, x: kernels.gelu_tanh_(x)',
           '"gelu_new": lambda kernels, x: kernels.gelu_(x)', GOLDEN + "[gelu_new]"),
    Mutant("bert.py", '"silu": lambda kernels, x: kernels.silu_(x)',
           '"silu": lambda kernels, x: kernels.relu_(x)', GOLDEN + "[silu]"),
    Mutant("bert.py", "[pack.token_types, pack.positions]", "[0, pack.positions]",
           "test_padded.py::test_token_types_count_and_default_to_0"),
    Mutant("bert.py", "pack.token_types, pack.positions]", "pack.token_types, pack.positions - 1]",
           GOLDEN + "[gelu]"),
    Mutant("bert.py", "    mixed += hidden\n", "", GOLDEN + "[relu]"),
    Mutant("bert.py", "    outer += hidden\n", "", GOLDEN + "[relu]"),
    Mutant("bert.py", "q, k, v = qkv", "k, q, v = qkv",
           "test_golden.py::test_all_attentions_equal_transformers[gelu-right]"),
    Mutant("bert.py", "lengths[index + 1] != length", "lengths[index + 1] > length",
           "test_padded.py::test_padding_changes_no_state_of_a_token"),
    Mutant("bert.py", "    kernels.tanh_(pooled)\n", "", POOLER),
    Mutant("bert.py", 'watch(f"{name}.output", hidden)', 'watch(f"{name}.output", hidden + 1)',
           "test_golden.py::test_every_hidden_state_equals_transformers[gelu-right]"),
    # packs and vectors
    Mutant("packing.py", "np.arange(total) - np.repeat(np.cumsum(chosen) - chosen, chosen)",
           "np.arange(total)",
           "test_packing.py::test_packs_hold_every_text_once_within_the_budget"),
    Mutant("packing.py", "lengths[text] > pack_tokens", "lengths[text] >= pack_tokens",
           "test_packing.py::test_a_pack_is_filled_to_the_budget_exactly"),
    Mutant("pooling.py", "kernels.floats(lengths)[:, None]", "kernels.floats(lengths - 1)[:, None]",
           GOLDEN + "[gelu]"),
    Mutant("encoder.py", "rows[pack.order] = ", "rows[sorted(pack.order)] = ", GOLDEN + "[gelu]"),
    Mutant("encoder.py", "if self.folder.normalize:", "if not self.folder.normalize:",
           GOLDEN + "[large_epsilon]"),
    Mutant("encoder.py", "prompted = [prompt + text for text in texts[window]]",
           "prompted = list(texts[window])", "test_encoder.py::test_prompts_go_before_the_text"),
    Mutant("encoder.py", "pooled = pooled[:, :width]", "pooled = pooled[:, -width:]",
           "test_encoder.py::test_truncate_dim_comes_before_normalize_embeddings"),
    Mutant("encoder.py", "if name in DOT_PRODUCT_MODELS:", "if not name:",
           "test_encoder.py::test_the_flagship_is_scored_by_the_dot_product"),
    Mutant("scores.py", "    normalize_(right)\n", "",
           "test_scores.py::test_cos_sim_divides_by_both_lengths_and_a_zero_vector_scores_0"),
    Mutant("padded.py", "self._seen = (self._seen + 1)", "self._seen = self._seen",
           "test_padded.py::test_rows_of_one_length_keep_their_attentions_apart"),
    Mutant("padded.py", "positions=columns,", "positions=None,", HIDDEN + "[gelu-left]"),
    # words
    Mutant("tokens.py", "[row[: limit - 1], row[-1:]]", "[row[:limit]]",
           "test_tokens.py::test_the_limit_counts_cls_and_sep_and_keeps_both"),
    Mutant("tokens.py", "len(row) > limit:", "len(row) >= limit:",
           "test_tokens.py::test_a_text_of_exactly_the_limit_is_not_cut"),
    Mutant("tokens.py", "run[0][: LONGEST_WORD + 1]", "run[0][:LONGEST_WORD]",
           "test_tokens.py::test_long_texts_have_the_ids_of_the_whole"),
    Mutant("vocabulary.py", '"do_lower_case", bool, True)', '"do_lower_case", bool, False)',
           "test_tokens.py::test_without_tokenizer_config_a_text_is_lower_cased"),
    Mutant("vocabulary.py", "    limit = max_seq_length\n", "    limit = None\n",
           "test_tokens.py::test_the_maximum_length_follows_the_reference"),
    # weights
    Mutant("checkpoint.py", "    qkv_bias[:hidden] *= scale\n", "", GOLDEN + "[gelu]"),
    Mutant("checkpoint.py", "(hidden // config.num_attention_heads) ** -0.5", "hidden**-0.5",
           GOLDEN + "[gelu]"),
    Mutant("checkpoint.py", "for path in files:", "for path in files[:1]:", GOLDEN + "[sharded]"),
    Mutant("checkpoint.py", "astype(np.uint32) << 16", "astype(np.uint32) << 15",
           GOLDEN + "[bfloat16]"),
    Mutant("checkpoint.py", "name = name.replace(old, new)", "name = name.replace(old, old)",
           GOLDEN + "[old_layout]"),
    Mutant("checkpoint.py", "tensor.name.removeprefix(prefix)", "tensor.name", GOLDEN + "[plain]"),
    Mutant("checkpoint.py", "if not is_finite(tensor):", "if tensor is None:",
           "test_checkpoint.py::test_weights_that_are_no_numbers_are_named"),
    Mutant("checkpoint.py", "return tensor if tensor.flags.aligned else tensor.copy()",
           "return tensor",
           "test_checkpoint.py::test_tensors_that_are_not_aligned_change_no_vector"),
    Mutant("folder.py", 'or ".." in parts', "",
           "test_folder.py::test_a_module_path_that_leaves_the_folder_is_refused"),
]  # fmt: skip


def main() -> None:
    """Plant the chosen faults and say of each whether its test noticed."""
    options = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="example: python tools/mutants.py layer_norm"
    )
    options.add_argument("word", nargs="?", default="", help="only faults that mention this word")
    word = options.parse_args().word
    chosen = [mutant for mutant in MUTANTS if word in " ".join(mutant)]
    if not chosen:
        sys.exit(f"No fault of the table mentions {word!r}.")
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made).resolve()
        tests = sorted({mutant.test for mutant in chosen})
        untouched = copy(scratch / "untouched")
        if run(untouched, *tests) != 0:
            sys.exit("The tests of the table are not green on the package as it is.")
        with ThreadPoolExecutor(2) as workers:
            killed = list(
                workers.map(lambda number: judge(chosen[number], scratch / str(number)),
                            range(len(chosen)))
            )  # fmt: skip
    print(f"{sum(killed)} of {len(killed)} faults turned their test red")
    sys.exit(0 if all(killed) else 1)


def judge(mutant: Mutant, folder: Path) -> bool:
    """Whether the test fails, and does nothing worse than failing, with the fault."""
    copy(folder)
    path = folder / "minibert" / mutant.file
    code = path.read_text(encoding="utf-8")
    if code.count(mutant.old) != 1:
        sys.exit(f"{mutant.file} holds {mutant.old!r} {code.count(mutant.old)} times, not once.")
    path.write_text(code.replace(mutant.old, mutant.new), encoding="utf-8")
    status = run(folder, mutant.test)
    if status not in (0, 1):
        sys.exit(f"pytest could not run {mutant.test} with {mutant.new!r} (exit code {status}).")
    verdict = "killed  " if status else "SURVIVED"
    change = f"{mutant.old.strip()} -> {mutant.new.strip() or 'nothing'}"
    print(f"{verdict} {mutant.file}: {change}  by {mutant.test}", flush=True)
    shutil.rmtree(folder)
    return status == 1


def copy(folder: Path) -> Path:
    """The package and its tests, in a place where they can be changed."""
    for name in ("minibert", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / ".models").symlink_to(ROOT / ".models")
    return folder


def run(folder: Path, *tests: str) -> int:
    """pytest's exit code for some tests of a copy, which must be what is imported."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    check = "import minibert, sys; sys.exit(not minibert.__file__.startswith(sys.argv[1]))"
    python = [sys.executable, "-c", check, str(folder)]
    if subprocess.run(python, cwd=folder, env=environment, check=False).returncode:
        sys.exit("An installed minibert stands before the copy; uninstall it or use .venv.")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, *(f"tests/{test}" for test in tests)],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return result.returncode


if __name__ == "__main__":
    main()

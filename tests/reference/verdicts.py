"""What may come of an altered folder, and what may not. See fuzz.py.

minibert either refuses it in its own words or gives the reference's vectors. Where one of the two
reads a folder that the other refuses, a row of a table here says why; without one it is a finding.
"""

import base64
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from trials import Case, Outcome

# From the worst to the best: that of a case is the worst of its steps.
VERDICTS = (
    *("killed", "hang", "raw", "nan", "different", "read alone", "refused alone"),
    *("refused, as said", "read, as said", "different, as said", "unknown"),
    *("both refuse", "same"),
)
FINDINGS = VERDICTS[:7]


class Verdict(NamedTuple):
    """How a case ended: one of VERDICTS, what was seen, and the reason that a table gives."""

    kind: str
    why: str = ""
    reason: str = ""


class Allowed(NamedTuple):
    """What may differ: what was altered, the error of the library that refuses, and why."""

    altered: str
    error: str
    reason: str


# Where minibert refuses what the reference reads.
REFUSALS = [
    Allowed("", "has no tensor", "The reference draws a missing tensor at random."),
    Allowed(
        "", "has the type .*; expected F32", "No model has whole numbers or truths for weights."
    ),
    Allowed("", "are the same tensor", "Which of two counts is chance."),
    Allowed(
        "embeddings|bias|LayerNorm|linear|norm",
        "holds NaN or infinity",
        "The tensor is used, if not by these texts, or what is infinite is lost on the way.",
    ),
    Allowed("", "model_type is .*; expected 'SentenceTransformer'", "Each kind has its class."),
    Allowed("", "similarity_fn_name is", "The reference takes cosine, unsaid."),
    Allowed(
        "",
        r"expected (a (bool|str|list|dict|text)|texts|true or false|an object|names and)",
        "The reference asks whether a value is true, or has a length, or overlooks it.",
    ),
    Allowed(
        "", "(dimension|length|dim) is .*; expected a whole", "The reference overlooks the value."
    ),
    Allowed("", "expects .* dimensions; what comes before", "The reference overlooks the value."),
    Allowed("", "ids that are no whole numbers", "true is 1 in Python."),
    Allowed("", "minibert does not know the key", "What it would change is not known."),
    Allowed("", r"holds '\\ud800'", "The text has no bytes; the reference may not need them."),
    Allowed(
        "^(?!words .*(blank last|last line|blank for|blanks behind|CR|as it was|no end))",
        "the vocabulary goes up to the id",
        "A word has no embedding; texts without it may come, and others.",
    ),
    Allowed("", "the special token .* has the id", "The same, of a token that is named."),
    Allowed("", "model_input_names holds", "No BERT has such an input."),
    Allowed("", "tokenizer_class is", "What a class builds is not known."),
    Allowed("layer_norm_eps", "expected a number above 0", "It would divide by zero or less."),
    Allowed("", "there is a Transformer after|the modules are", "Chains of modules are few."),
    Allowed("", "a module's name is", "Of two modules of one name the reference runs the last."),
    Allowed("", "it turns '", "Modules change what they are given, in place."),
    Allowed("", "is a link to .*, where nothing is", "What it led to is lost."),
    Allowed("", "is a folder; expected a file", "The reference takes it for missing."),
    Allowed(
        "", r"tokenizer\.json is missing|has no vocabulary", "The reference goes on with no words."
    ),
    Allowed("config", "minibert computes", "A value that would change the mathematics."),
    Allowed("", "minibert computes torch.nn's", "The reference takes Tanh, and warns."),
    Allowed(
        r"values of .*= -?[13]e\+(38|30|20)",
        "was the first to make one",
        "What is not yet divided by the sums of a softmax overflows sooner.",
    ),
]
WITHOUT_A_SAY = [
    *("bos_token_id", "eos_token_id", "pad_token_id", "id2label", "num_labels", "label2id"),
    *("classifier_dropout", "use_return_dict", "attn_implementation", "tie_word_embeddings"),
    *("chunk_size_feed_forward", "rope_scaling", "rope_parameters", "dtype", "architectures"),
    *("dropout_prob", "initializer_range", "use_cache", "transformers_version", "output_hidden"),
    *("output_attentions", "return_dict", "auto_map", "torchscript", "use_bfloat16", "layer_types"),
    *("sliding_window", "embedding_size", "num_hidden_groups", "n_layers", "dim", "unheard_of"),
]
# Where minibert reads what the reference refuses.
READINGS = [
    Allowed(
        f"(config of|bytes of .* config.json).*({'|'.join(WITHOUT_A_SAY)}|a byte changed)",
        "",
        "The key has no say in a vector.",
    ),
    Allowed("config of .*'(is|add)_.*value 0$", "", "0 is as good as false."),
    Allowed("", "Dropout", "A Dropout does nothing but in training; only its rate is read."),
    Allowed("6_Dropout", "", "A Dropout does nothing but in training; only its rate is read."),
    Allowed(
        "max_seq_length|model_max_length|max_len|bytes of|tokenizer_config.json: missing",
        "(size of tensor|out of bounds|out of range)",
        "minibert cuts texts where the positions end.",
    ),
    Allowed(
        r"tokenizer\.json of \S+: tokenizer\.json: (?!as it stands)",
        "",
        "Of tokenizer.json only words and added tokens count for these classes.",
    ),
    Allowed(
        "tokenizer.*'pad_token' gone", "Asking to pad", "Texts need no padding here, so no token."
    ),
    Allowed(
        "tokenizer.json: as it stands.* doubled",
        "",
        "Of a doubled key the last counts, as everywhere in JSON.",
    ),
    Allowed("'sentence_transformers.Pooling'", "does not define", "The last part of a type tells."),
    Allowed(r"(value|doubled|=) None\b", "", "null means the default, everywhere."),
    Allowed("modules of .*'(name|idx)'", "", "A module's number, and a name, have no say."),
    Allowed("'model_type' gone", "Unrecognized model", "The first BERTs name no family."),
    Allowed(
        "'(__version__|pytorch|sentence_transformers|transformers)'",
        "",
        "Who wrote a folder has no say.",
    ),
    Allowed("_tokens?' .*'content'", "", "An object with a content is a token, whatever else."),
    Allowed("shards: index: .*'(metadata|total_size)'", "", "What an index adds has no say."),
    Allowed("'module_output_name' gone", "", "A missing key means the default."),
    Allowed("'embedding_dimension' gone", "", "The width is known without it."),
    Allowed(
        "tokenizer of .*'(errors|trim_offsets|processor_class|backend|clean_up|name_or_path|"
        "is_local|local_files_only|never_split|use_fast|padding|truncation|stride|auto_map)",
        "",
        "The key has no say in a token.",
    ),
]
# Where both give numbers, and others.
DIFFERENCES = [
    Allowed(
        "model_input_names",
        "^(texts|pairs|queries|documents)",
        "Without a mask the reference's vectors depend on the texts beside; alone they are ours.",
    ),
    Allowed(
        "similarity_fn_name.*dot_score",
        "^similarity",
        "Older folders mean the dot product; the reference takes cosine, unsaid.",
    ),
]

OURS = "minibert.errors."
BUILT_IN = {"builtins.ValueError", "builtins.FileNotFoundError", "builtins.OSError"}


def judge(case: Case) -> Verdict:
    """The worst verdict of a case's steps."""
    ours, theirs = case.ours or {}, case.theirs
    # Where one has no model, the question is whether the other has vectors.
    failed = "load" in ours or "load" in (theirs or {})
    steps = ["texts"] if failed else list(ours)
    found = [judge_step(case, step, of(ours, step), of(theirs, step)) for step in steps]
    return min(found, key=lambda verdict: VERDICTS.index(verdict.kind))


def of(outcome: Outcome | None, step: str) -> Any:
    """What came of a step: what came of loading, where that failed."""
    return None if outcome is None else outcome.get("load") or outcome[step]


def judge_step(
    case: Case, step: str, ours: dict[str, Any], theirs: dict[str, Any] | None
) -> Verdict:
    """The verdict on one step."""
    said = f"{step}: minibert: {words(ours)}; the reference: {words(theirs)}"
    if "ended" in ours:
        return Verdict("hang" if "seconds" in ours["ended"] else "killed", said)
    if "error" in ours and not has_words(ours):
        return Verdict("raw", f"{said} ({ours['file']}:{ours['line']})")
    if "numbers" in ours and np.isnan(numbers(ours)).any():
        return Verdict("nan", said)
    if theirs is None:
        return Verdict("unknown", said)
    refused = "numbers" not in theirs or bool(np.isnan(numbers(theirs)).any())
    if "error" in ours:
        if refused:
            return Verdict("both refuse", said)
        return allowed(REFUSALS, "refused", case, words(ours), said)
    if refused and near_exact(numbers(ours), theirs):
        return Verdict("same")
    if refused:
        return allowed(READINGS, "read", case, words(theirs), said)
    exact = theirs.get("exact")
    found = compared(numbers(ours), numbers(theirs), said)
    if found.kind == "different" and exact and "numbers" in exact:
        found = nearly(numbers(ours), numbers(theirs), numbers(exact), found)
    if found.kind == "different":
        return allowed(DIFFERENCES, "different", case, said, found.why)
    return found


def allowed(table: list[Allowed], what: str, case: Case, error: str, said: str) -> Verdict:
    """Whether a table says why the two differ."""
    for row in table:
        altered = f"{case.kind} of {case.base}: {case.altered}"
        if re.search(row.altered, altered) and re.search(row.error, error):
            return Verdict(f"{what}, as said", said, row.reason)
    return Verdict(f"{what} alone" if f"{what} alone" in FINDINGS else what, said)


def has_words(error: dict[str, Any]) -> bool:
    """Whether minibert itself raised an error of a kind that callers expect of it."""
    if error["error"].startswith(OURS):
        return True
    by_minibert = "minibert" in Path(error["file"]).parent.parts and error["raised"]
    return by_minibert and error["error"] in BUILT_IN


def words(result: dict[str, Any] | None) -> str:
    """A result in a few words."""
    if result is None:
        return "not known"
    if "ended" in result:
        return str(result["ended"])
    if "error" in result:
        return f"{result['error'].removeprefix('builtins.')}: {result['message'][:300]}"
    found = numbers(result)
    nan = ", NaN among them" if np.isnan(found).any() else ""
    return f"vectors {'x'.join(map(str, found.shape))}{nan}"


def numbers(result: dict[str, Any]) -> Any:
    """The numbers of a result."""
    flat = np.frombuffer(base64.b64decode(result["numbers"]), dtype="<f4")
    return flat.reshape(result["shape"]).astype(np.float64)


def compared(ours: Any, theirs: Any, said: str) -> Verdict:
    """Whether numbers are the same, but for rounding."""
    if ours.shape != theirs.shape:
        return Verdict("different", f"{said}: shapes")
    endless = ~np.isfinite(theirs)
    if not np.array_equal(ours[endless], theirs[endless]):
        return Verdict("different", f"{said}: infinity")
    apart = np.abs(ours[~endless] - theirs[~endless]).max(initial=0)
    if apart <= tolerance(theirs[~endless], theirs):
        return Verdict("same")
    return Verdict("different", f"{said}: {apart:.1e} apart, up to {np.abs(theirs).max():.3g}")


def near_exact(ours: Any, theirs: dict[str, Any]) -> bool:
    """Whether ours are those of float64 where float32 was not enough for the reference."""
    exact = theirs.get("exact", {})
    if "numbers" not in theirs or "numbers" not in exact:
        return False
    wanted = numbers(exact)
    return ours.shape == wanted.shape and bool(np.allclose(ours, wanted, rtol=0, atol=1e-4))


def nearly(ours: Any, theirs: Any, exact: Any, found: Verdict) -> Verdict:
    """Whether ours are about as near to float64 as the reference's own: numbers may be awkward."""
    if (
        not ours.shape == theirs.shape == exact.shape
        or not np.isfinite([ours, theirs, exact]).all()
    ):
        return found
    if np.abs(ours - exact).max() <= 4 * np.abs(theirs - exact).max():
        return Verdict("same")
    return found


def tolerance(finite: Any, vectors: Any) -> float:
    """1e-5 for raw vectors, 2e-6 for normalised ones, more only where numbers are huge."""
    lengths = np.linalg.norm(vectors, axis=-1)
    if np.isfinite(lengths).all() and np.allclose(lengths, 1, rtol=0, atol=1e-4):
        return 2e-6
    return max(1e-5, 1e-6 * float(np.abs(finite).max(initial=0)))

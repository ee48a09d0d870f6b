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
    *("refused, as said", "read, as said", "unknown", "both refuse", "same"),
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
REFUSALS: list[Allowed] = []
# Where minibert reads what the reference refuses.
READINGS: list[Allowed] = []

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
    if refused:
        return allowed(READINGS, "read", case, words(theirs), said)
    exact = theirs.get("exact")
    found = compared(numbers(ours), numbers(theirs), said)
    if found.kind == "different" and exact and "numbers" in exact:
        return nearly(numbers(ours), numbers(theirs), numbers(exact), found)
    return found


def allowed(table: list[Allowed], what: str, case: Case, error: str, said: str) -> Verdict:
    """Whether a table says that only one of the two refuses."""
    for row in table:
        altered = f"{case.kind} of {case.base}: {case.altered}"
        if re.search(row.altered, altered) and re.search(row.error, error):
            return Verdict(f"{what}, as said", said, row.reason)
    return Verdict(f"{what} alone", said)


def has_words(error: dict[str, Any]) -> bool:
    """Whether minibert itself raised an error of a kind that callers expect of it."""
    ours = Path(error["file"]).parent.parts
    if "minibert" not in ours or not error["raised"]:
        return False
    return bool(error["error"].startswith(OURS)) or error["error"] in BUILT_IN


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
    apart = np.abs(ours - theirs)[~endless].max(initial=0)
    if apart <= tolerance(theirs[~endless], theirs):
        return Verdict("same")
    return Verdict("different", f"{said}: {apart:.1e} apart, up to {np.abs(theirs).max():.3g}")


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

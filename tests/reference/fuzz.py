"""Altered folders through minibert and sentence-transformers: the same vectors, or words.

    python tests/reference/fuzz.py --seeds 5000 --jobs 2     # in the environment of `reference`
    python tests/reference/fuzz.py --seed 1234               # one of them again, with all there is
    python tests/reference/fuzz.py --seeds 1000 --only minibert    # the reference from the cache
    python tests/reference/fuzz.py --planted                 # that it finds planted faults

Each folder is loaded, and encodes a handful of texts, in a process of its own for either library,
which has 20 seconds of a processor and 8 GB. What may come of it stands in verdicts.py. Exits with
1 where there is a finding.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from alterations import CLASSES
from planted import find_planted
from trials import CACHE, Case, outcomes
from verdicts import FINDINGS, VERDICTS, Verdict, judge


def main() -> int:
    """Run what the command line says, and print what came of it."""
    asked = arguments()
    if asked.planted:
        return find_planted(asked.seeds, asked.cache)
    reference = asked.only != "minibert"
    if asked.seed is not None:
        return replay(asked.seed, asked.cache, reference)
    began = time.monotonic()
    judged = []
    seeds = range(asked.first, asked.first + asked.seeds)
    for case in outcomes(seeds, asked.jobs, asked.cache, reference):
        verdict = judge(case)
        judged.append((case, verdict))
        if verdict.kind in FINDINGS and not asked.json:
            print(line(case, verdict), flush=True)
        if verdict.kind in FINDINGS and asked.stop:
            break
    judged.sort(key=lambda pair: pair[0].seed)
    if asked.json:
        print(json.dumps([row(case, verdict) for case, verdict in judged]))
    else:
        print(table(judged))
        print(f"{len(judged)} seeds in {time.monotonic() - began:.0f} s")
    return int(any(verdict.kind in FINDINGS for _, verdict in judged))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds (default 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time (default 1)")
    parser.add_argument("--seed", type=int, help="one seed alone, with everything about it")
    parser.add_argument(
        "--only", choices=["minibert"], help="take the reference's outcomes from the cache"
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"its folder (default {CACHE})")
    parser.add_argument("--stop", action="store_true", help="stop at the first finding")
    parser.add_argument("--planted", action="store_true", help="look for planted faults instead")
    parser.add_argument("--json", action="store_true", help="print every case as JSON")
    return parser.parse_args()


def replay(seed: int, cache: Path, reference: bool) -> int:
    """Run one seed again, and print everything about it."""
    (case,) = outcomes([seed], 1, cache, reference, fresh=True)
    verdict = judge(case)
    print(line(case, verdict))
    for name, outcome in (("minibert", case.ours), ("reference", case.theirs)):
        print(f"\n{name}:")
        for step, result in (outcome or {}).items():
            shown = {k: v for k, v in result.items() if k not in ("numbers", "exact")}
            print(f"  {step}: {json.dumps(shown, indent=4)}")
    return int(verdict.kind in FINDINGS)


def row(case: Case, verdict: Verdict) -> dict[str, object]:
    """A case as an object of JSON."""
    return {
        "seed": case.seed,
        "class": case.kind,
        "base": case.base,
        "altered": case.altered,
        "verdict": verdict.kind,
        "why": verdict.why,
        "reason": verdict.reason,
    }


def line(case: Case, verdict: Verdict) -> str:
    """A case in a few lines."""
    return (
        f"{case.seed} {verdict.kind.upper()} {case.kind} of {case.base}: {case.altered}\n"
        f"    {verdict.why}"
    )


def table(judged: Iterable[tuple[Case, Verdict]]) -> str:
    """How often each class of alterations ended in each verdict."""
    counts = Counter((case.kind, verdict.kind) for case, verdict in judged)
    used = [kind for kind in VERDICTS if any(verdict == kind for _, verdict in counts)]
    lines = [["", *used, "all"]]
    for kind in CLASSES:
        numbers = [counts[kind, verdict] for verdict in used]
        lines.append([kind, *map(str, numbers), str(sum(numbers))])
    sums = [sum(counts[kind, verdict] for kind in CLASSES) for verdict in used]
    lines.append(["all", *map(str, sums), str(sum(sums))])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in lines
    )


if __name__ == "__main__":
    sys.exit(main())

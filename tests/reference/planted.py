"""Faults to plant in a copy of minibert, which fuzz.py must find. See fuzz.py --planted."""

from pathlib import Path


def find_planted(seeds: int, cache: Path) -> int:
    return 0

"""First import of sentence_transformers in a new process: put the stand-in in this place.

The folder of this file is on sys.path only where install() has put it, or `minibert run`.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

# `python -m minibert run`, in a clone, has found minibert in a folder that the program lacks.
HOME = Path(__file__).parents[3]
found = find_spec("minibert")
if found is None or found.origin is None or Path(found.origin).parents[1] != HOME:
    sys.path.insert(1, str(HOME))

from minibert.integrations.sentence_transformers import install  # noqa: E402

install(force=True)

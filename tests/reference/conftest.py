"""Live comparisons, for `sh tools/test.sh reference`, which installs what they need.

Without it nothing here is collected, and a run of this folder alone fails for want of tests.
"""

import importlib.util
import sys
from pathlib import Path

collect_ignore_glob = [] if importlib.util.find_spec("sentence_transformers") else ["test_*.py"]
TESTS = Path(__file__).parent.parent
# The modules beside these tests, and tools/make_golden.py, which makes tiny models.
sys.path[:0] = [str(TESTS / "reference"), str(TESTS.parent / "tools")]

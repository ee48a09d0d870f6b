"""New Python processes that find what tests share, and this checkout."""

import os
import sys


def environment():
    """Variables for a new process, with this one's path of modules."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

"""python -m minibert: the command line."""

import sys

from minibert.cli import main

sys.exit(main())

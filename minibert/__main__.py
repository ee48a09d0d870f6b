"""python -m minibert: the command line."""

import sys

from minibert.commands.cli import main

sys.exit(main())

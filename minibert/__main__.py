"""Run the command line, as `python -m minibert`."""

import sys

from minibert.commands.cli import main

sys.exit(main())

"""The entry point of `python -m sweeper`, which does the same as the command `sweeper`."""

import sys

from sweeper.cli.main import main

sys.exit(main())

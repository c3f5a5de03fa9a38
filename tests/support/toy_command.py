"""The command line of Sweeper with toy tasks (see `support.toys`), for tests of signals and faults: its arguments."""

import os
import sys

from sweeper.cli import main
from sweeper.engine import run

if __name__ == "__main__":
    defaults = run.run_resolved.__kwdefaults__
    assert defaults is not None
    defaults["performer"] = os.environ.get("TOY_PERFORMER", "support.toys:perform")
    sys.exit(main.main())

"""Small packs on digits, as the tests of `trials` have them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "trials"))

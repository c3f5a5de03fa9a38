"""The crash tests drive real sweeps in processes of their own, with the tools of the engine's tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "engine"))

"""A job of many stitches for benchmarks of the engine, whose packs the toy performer of the tests performs at once."""

import os
import sys
from pathlib import Path

from sweeper.spec.job.resolve import resolve
from sweeper.spec.job.sweep import ResolvedSweep, Sweep

TESTS = Path(__file__).parent.parent / "tests"
PERFORMER = "support.toys:perform_immediately"

CUTS = 10


def scale_job(stitches: int, workers: int) -> ResolvedSweep:
    """Return a job of about so many stitches: all pairs of two families, at ten cuts."""
    side = max(2, round((stitches / CUTS) ** 0.5))
    family = {"arch": "resnet18k", "options": {"width": 4}, "steps": 20}
    layers = ["conv1", *(f"block{number}" for number in range(1, CUTS - 1)), "pool"]
    return resolve(
        Sweep.model_validate(
            {
                "name": "scale",
                "models": {
                    "a": family | {"samples": 300, "seed": list(range(side))},
                    "b": family | {"samples": 100, "seed": list(range(side))},
                },
                "stitch": [{"bottom": "a", "top": "b", "layers": layers}],
                "engine": {"workers": workers, "pack_seconds": 20},
            }
        )
    )


def use_toys(folder: Path) -> None:
    """Let workers find the toy performer, and give this process a home folder of its own."""
    os.environ |= {"HOME": str(folder), "RAY_TMPDIR": "/tmp", "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    sys.path.insert(0, str(TESTS))

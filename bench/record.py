"""The output of a benchmark: a line of JSON on stdout for each figure, which `python -m bench` collects."""

import json
import os
import platform
from functools import cache
from pathlib import Path


def emit(name: str, value: float, unit: str, baseline: float | None = None, ratio: float | None = None) -> None:
    """Print a figure as a line of JSON.

    Args:
        name: The name of the figure.
        value: Its value.
        unit: The unit of the value and of the baseline.
        baseline: The value to compare with; None if there is none.
        ratio: The factor by which the value is better than the baseline. Above 1 is good, whether a smaller or a
            larger value is better.
    """
    figure = {
        "name": name,
        "value": value,
        "unit": unit,
        "baseline": baseline,
        "ratio": ratio,
        "machine": machine(),
    }
    print(json.dumps(figure), flush=True)


@cache
def machine() -> str:
    """Return the processor, the number of its cores that this process may use, the system and the Python version."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

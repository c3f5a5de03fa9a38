"""How a benchmark says a figure: a line of JSON on stdout, which `python -m bench` collects."""

import json
import os
import platform
from functools import cache
from pathlib import Path


def emit(name: str, value: float, unit: str, baseline: float | None = None, ratio: float | None = None) -> None:
    """Prints a figure. `baseline` is in the same unit; `ratio` is how many times better the figure is, so above 1 is
    good whether less is better or more. What has no baseline leaves both out."""
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
    """The processor, how many of its cores this process may use, and the system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

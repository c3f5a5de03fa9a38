"""The check of GPUs: torch sees them, their driver fits, and they compute.

It takes place in a process of its own, because a broken driver can hang or end the process that loads it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from .check import FAILED, OK, WARNING, Check

SECONDS = 90.0  # importing torch takes seconds, and the first use of a GPU as many
DRIVER = Path("/proc/driver/nvidia/version")

# Prints the CUDA that torch was built for, and each GPU with the sum of a small product of matrices of ones.
_ASK = """
import json, torch
names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
sums = [(torch.ones(64, 64, device=f"cuda:{i}") @ torch.ones(64, 64, device=f"cuda:{i}")).sum().item()
        for i in range(len(names))]
print(json.dumps({"torch": torch.__version__, "cuda": torch.version.cuda, "names": names, "sums": sums}))
"""


def check_devices() -> Check:
    """Check the GPUs and count the CPU cores."""
    cores = f"{_cores()} CPU cores"
    command = [sys.executable, "-c", _ASK]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Check(
            "", FAILED, f"torch has not used the GPU within {SECONDS:g} s", "nvidia-smi shows what the GPU does"
        )
    if process.returncode:
        lines = process.stderr.strip().splitlines() or [f"exit code {process.returncode}"]
        return Check("", FAILED, f"torch fails: {lines[-1]}", "nvidia-smi; pip install --force-reinstall torch")
    answer = json.loads(process.stdout.splitlines()[-1])
    if answer["names"]:
        if wrong := [name for name, total in zip(answer["names"], answer["sums"], strict=True) if total != 64.0**3]:
            return Check("", FAILED, f"{wrong[0]} computes wrong numbers", "replace the GPU, or its driver")
        details = f"{', '.join(answer['names'])}, {cores}"
        return Check("", OK, f"{details}; `python -m sweeper.trials.device_check` compares its results with the CPU's")
    if driver := _driver_version():
        built = f"for CUDA {answer['cuda']}" if answer["cuda"] else "without CUDA"
        details = f"NVIDIA driver {driver} is loaded, but torch {answer['torch']} (built {built}) sees no GPU; {cores}"
        fix = "install the torch that fits the driver (https://pytorch.org/get-started), or unset CUDA_VISIBLE_DEVICES"
        return Check("", WARNING, details, fix)
    return Check("", OK, f"{cores}, no GPU")


def _driver_version() -> str:
    """Return the version of the NVIDIA driver; "" if none is loaded."""
    try:
        words = DRIVER.read_text().split("Module", 1)[1].split()
    except (OSError, IndexError):
        return ""
    return next((word for word in words if word[0].isdigit()), "of unknown version")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

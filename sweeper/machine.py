"""The memory of this machine."""

from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")


def machine_memory(cgroup: Path = CGROUP) -> tuple[int, int]:
    """Return the (used, total) bytes of the machine, or of its container if that has a lower limit.

    Like Ray's own monitor, it does not count page cache that can be dropped as used.
    """
    machine = psutil.virtual_memory()
    total, used = machine.total, machine.total - machine.available
    try:  # psutil does not know the limits of containers
        limit = int((cgroup / "memory.max").read_text())
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        container_used = (
            int((cgroup / "memory.current").read_text()) - int(stat["inactive_file"]) - int(stat["active_file"])
        )
    except (OSError, KeyError, ValueError):  # there is no cgroup, or its limit is the word "max"
        return used, total
    return (container_used, limit) if limit < total else (used, total)

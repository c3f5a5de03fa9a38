"""The command `ray` for lines of the launch files: nodes on the loopback device that end with their test.

`ray stop` does nothing, because it would end the other clusters of the machine, and so does the check of `ray
symmetric-run` that no other Ray runs here. `ray start` takes less memory, and waits for another one to end: nodes of
one cluster that start at the same moment on one machine would choose the same names for their sockets. All else is
Ray's own command.
"""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

ADDRESS = os.environ.get("NODE_ADDRESS", "127.0.0.1")
SMALL = [f"--node-ip-address={ADDRESS}", "--object-store-memory=80000000", "--disable-usage-stats"]


def main(arguments: list[str]) -> int:
    """Run the command `ray` with these arguments."""
    match arguments:
        case ["stop", *_]:
            return 0
        case ["start", *options]:
            given = {option.partition("=")[0] for option in options}
            options += [option for option in SMALL if option.partition("=")[0] not in given]
            with (Path.home() / "ray-start.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                return subprocess.call([sys.executable, "-m", "ray.scripts.scripts", "start", *options])
        case ["symmetric-run", *_]:
            from ray.scripts import symmetric_run

            symmetric_run.check_ray_already_started = lambda: False
            sys.argv = ["ray", *arguments]
            symmetric_run.symmetric_run()
        case _:
            os.execv(sys.executable, [sys.executable, "-m", "ray.scripts.scripts", *arguments])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A driver in a process of its own, to be interrupted or killed: `driver.py STORE PERFORMER [JOB]`.

JOB is a file with a resolved job as JSON; without one, toys. Prints how the run ended as JSON on stdout.
"""

import dataclasses
import json
import sys
from pathlib import Path

from support.toys import toy_sweep
from sweeper.engine.run import run
from sweeper.spec.job import resolve
from sweeper.store.store import Store

if __name__ == "__main__":
    folder, performer, *job = sys.argv[1:]
    sweep = resolve.from_json(Path(job[0]).read_text()) if job else toy_sweep()
    print(json.dumps(dataclasses.asdict(run(sweep, Store.open(folder, create=True), performer=performer))))

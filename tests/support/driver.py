"""A script that drives a store, for tests that interrupt or kill it: `driver.py STORE PERFORMER [JOB]`.

JOB is a file with a resolved job as JSON; without it, the job is that of `support.toys`. The script prints the summary
of the run as JSON to stdout.
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

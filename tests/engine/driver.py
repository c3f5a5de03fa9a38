"""A driver in a process of its own, to be interrupted or killed: `driver.py STORE PERFORMER [setting=value ...]`.

Prints how the run ended as JSON on stdout.
"""

import dataclasses
import json
import sys

from toys import toy_sweep

from sweeper.engine.run import run
from sweeper.store.store import Store

if __name__ == "__main__":
    folder, performer, *settings = sys.argv[1:]
    engine = {name: json.loads(value) for name, value in (setting.split("=") for setting in settings)}
    summary = run(toy_sweep(**engine), Store.open(folder, create=True), performer=performer)
    print(json.dumps(dataclasses.asdict(summary)))

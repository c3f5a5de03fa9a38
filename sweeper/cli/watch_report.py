"""The option `--watch` of the command `report`: the page on this machine, written again while its store grows."""

import sys
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sweeper.errors import StoreError

from . import places, show
from .query import TableSelection

# Between two looks at the store, at least; and at least as long as the page took, so that a sweep on this machine keeps
# most of its cores.
LOOK_SECONDS = 2.0


def watch_report(selection: TableSelection, store: str | None, output: Path | None, port: int) -> None:
    """Write and serve the page of a store, again whenever the store has changed, until Ctrl-C.

    Raises:
        SetupError: The port can't be used, or the page can't be written.
        StoreError: There is no store.
    """
    from sweeper.report.page_server import PageServer

    selection = replace(selection, keeps_version=False)  # a version for each page would fill the store
    with places.opened(store) as opened_store, PageServer(port) as server:
        shown_version, problem = "", ""
        while True:
            started = time.monotonic()
            try:
                version = opened_store.retried(lambda: opened_store.pinned().version)
                if version != shown_version:
                    path = selection.of(opened_store).page(output)
                    server.show(path.read_bytes())
                    _say_written(server.url if not shown_version else "", path)
                    shown_version, problem = version, ""
            except StoreError as error:
                if not shown_version:
                    raise
                if str(error) != problem:
                    problem = str(error)
                    show.warn(f"the page stays as it is, and is written again when this is over: {problem}")
            time.sleep(max(LOOK_SECONDS, time.monotonic() - started))


def _say_written(url: str, path: Path) -> None:
    if url:
        show.write(url)
        sys.stdout.flush()
        show.say("Open this address in a browser on this machine; Ctrl-C ends.")
    show.say(f"{datetime.now():%H:%M:%S} written: {path}")

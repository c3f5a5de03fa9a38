"""The command `report --watch`: a real process whose store grows, asked by a real HTTP client."""

import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.planted_store import Planted

from sweeper.store.store import Store

SECONDS = 120.0  # on a busy machine


@pytest.fixture
def store(tmp_path: Path) -> Planted:
    """Return a store with the results of one job, which can grow."""
    planted = Planted(Store.open(str(tmp_path / "store"), create=True))
    planted.stitches(planted.models(2, samples=1200), planted.models(2), lambda depth: 1.0, cuts=["pool"])
    planted.run()
    planted.commit()
    return planted


@pytest.fixture
def watching(store: Planted, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Return a process that watches the store."""
    command = [sys.executable, "-m", "sweeper", "report", "--watch", "--store", store.store.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        yield process
        process.kill()


def page(url: str) -> tuple[str, str]:
    """Return the tag and the text of the page."""
    with urllib.request.urlopen(f"{url}page", timeout=30) as response:
        return response.headers["ETag"], response.read().decode()


@pytest.mark.slow
def test_the_page_is_written_again_when_the_store_has_grown_and_one_signal_ends_it(watching, store, tmp_path):
    assert watching.stdout
    url = watching.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:")
    first_tag, text = page(url)
    assert text == (tmp_path / "store" / "report.html").read_text(encoding="utf-8")
    assert "4 models, 4 stitches" in text
    assert "connect-src" not in text  # the policy of the page is that of the file
    time.sleep(5)
    assert page(url)[0] == first_tag  # nothing new, so it isn't written again

    store.models(3, width=8)
    store.commit()
    end = time.monotonic() + SECONDS
    while (tag := page(url)[0]) == first_tag and time.monotonic() < end:
        time.sleep(0.5)
    assert tag != first_tag
    assert "7 models, 4 stitches" in page(url)[1]
    assert not list((tmp_path / "store").glob("versions/*"))  # one for each page would fill the store

    watching.send_signal(signal.SIGINT)
    _, errors = watching.communicate(timeout=SECONDS)
    assert watching.returncode == 130
    assert errors.splitlines()[-1] == "interrupted"
    assert [line.split(" ", 1)[1].split(":")[0] for line in errors.splitlines()[1:-1]] == ["written", "written"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--watch", "--timeout", "3"), "--watch shows a store that grows"),
        (("--watch", "--figures", "f"), "--watch shows a store that grows"),
        (("--watch", "--as-of", "2026-01-01"), "--watch shows a store that grows"),
        (("--port", "8000"), "--port is the port of --watch"),
    ],
)
def test_options_that_do_not_fit_are_a_sentence(sweeper, complete_store, options, reason):
    result = sweeper("report", *options)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {reason}")

"""Tests of `--notify`, with a real server on this machine."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sweeper.cli import notify
from sweeper.errors import StoreError


class Server(ThreadingHTTPServer):
    """A server that keeps what is posted to it, and answers with `code` after `delay` seconds."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.posts: list[tuple[str, str]] = []
        self.code, self.delay = 200, 0.0
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook/secret"


class Handler(BaseHTTPRequestHandler):
    """Keeps the content type and the text of each post."""

    server: Server

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.posts.append((self.headers["Content-Type"], text))
        time.sleep(self.server.delay)
        self.send_response(self.server.code)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("command", [("run", "toy.yaml"), ("resume", "--store", "runs/toy")])
def test_one_line_is_posted_when_a_run_ends(sweeper, job, complete_store, server, command):
    result = sweeper(*command, "--notify", server.url)
    assert result.returncode == 0, result.stderr
    [(kind, text)] = server.posts
    assert kind == "text/plain; charset=utf-8"
    assert re.fullmatch(
        rf"toy on {re.escape(socket.gethostname())}: complete: 0 tasks done in \d s, 24 were done before; "
        r"the job has 24 tasks",
        text,
    )


def test_a_post_that_fails_is_a_warning_without_the_secret_and_keeps_the_exit_code(
    sweeper, job, complete_store, server
):
    server.code = 500
    result = sweeper("run", job, SWEEPER_NOTIFY=server.url)
    assert result.returncode == 0
    assert "warning: --notify: 127.0.0.1 was not told of the end (it answered 500" in result.stderr
    assert "secret" not in result.stderr
    server.shutdown()
    server.server_close()
    result = sweeper("run", job, "--notify", server.url)
    assert result.returncode == 0
    assert "was not told of the end (Connection refused)" in result.stderr


def test_a_server_that_does_not_answer_is_waited_for_a_short_time(server, capsys, monkeypatch):
    monkeypatch.setattr(notify, "SECONDS", 0.5)
    server.delay = 5.0
    start = time.monotonic()
    with notify.at_end(server.url, "toy") as set_text:
        set_text("complete")
    assert time.monotonic() - start < 4
    assert "timed out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "text"),
    [(KeyboardInterrupt(), "interrupted"), (StoreError("the disk\nis full"), "ended by an error: the disk")],
)
def test_an_end_by_an_exception_is_posted_too(server, error, text):
    with pytest.raises(type(error)), notify.at_end(server.url, "toy"):
        raise error
    [(_, line)] = server.posts
    assert line == f"toy on {socket.gethostname()}: {text}"


@pytest.mark.parametrize("url", ["ftp://host/x", "example.org", "http://", ""])
def test_what_is_no_url_is_refused_before_the_run(sweeper, job, url):
    result = sweeper("run", job, "--notify", url)
    assert result.returncode == 2
    assert "http:// or https://" in result.stderr

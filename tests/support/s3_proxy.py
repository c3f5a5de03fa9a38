"""A proxy before a server of S3, which disturbs requests as a network, an overloaded server or expired credentials do.

It runs in threads of the test's process. A test says what happens to requests: `faults` gives the share of requests
that a fault meets, drawn from a seeded generator; `next_faults` has the faults of the next requests; `outage` closes
the port, so that connections are refused; `expired_key` is an access key that gets S3's answer to expired credentials.
"""

import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

# Faults: the request is performed but its answer is lost; it is lost itself; S3 is overloaded; the answer comes late.
LOST_ANSWER, CLOSED, UNAVAILABLE, DELAYED = "lost answer", "closed", "unavailable", "delayed"
DELAY_SECONDS = 0.5

_NOT_FORWARDED = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Sent(NamedTuple):
    """The content of an answer: the path that was asked for, the first byte of the range, and the number of bytes."""

    path: str
    start: int
    size: int


class S3Proxy:
    """A proxy at `url` that forwards to a server at 127.0.0.1 and `server_port`."""

    def __init__(self, server_port: int):
        self.server_port = server_port
        self.faults: Mapping[str, float] = {}  # the share of requests that each fault meets
        self.next_faults: list[str] = []  # that meet the next requests, in order
        self.last_write = 0  # the number of the PUT after which every connection is closed; 0 for none
        self.methods = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})  # that faults meet
        self.expired_key = ""
        self.counts: Counter[str] = Counter()  # of requests, by method, and by fault
        self.sent: list[Sent] = []  # the contents that were sent, in order
        self._random = random.Random(0)
        self._lock = threading.Lock()
        self._port = 0
        self._open()

    @property
    def url(self) -> str:
        """The endpoint to give to a client of S3."""
        return f"http://127.0.0.1:{self._port}"

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Refuse all connections in the block, as a network that is down does."""
        self.close()
        try:
            yield
        finally:
            self._open()

    def close(self) -> None:
        """Close the port and the open connections."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._server.connections):
            with suppress(OSError):  # the client has closed it already
                connection.request.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def draw_fault(self, method: str) -> str:
        """Return the fault that meets the next request; "" for none."""
        with self._lock:
            self.counts[method] += 1
            if self.last_write and self.counts["PUT"] > self.last_write:
                return CLOSED
            number = self._random.random()
            if method in self.methods:
                if self.next_faults:
                    self.counts[self.next_faults[0]] += 1
                    return self.next_faults.pop(0)
                for fault, share in self.faults.items():
                    if (number := number - share) < 0:
                        self.counts[fault] += 1
                        return fault
            return ""

    def _open(self) -> None:
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.proxy = self
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: S3Proxy

    def __init__(self, address: tuple[str, int], handler: type):
        self.connections: set[_Handler] = set()
        super().__init__(address, handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients and tests close connections on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self)

    def finish(self) -> None:
        self.server.connections.discard(self)
        super().finish()

    def do_GET(self) -> None:
        """Forward a request, or let a fault meet it."""
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = proxy.draw_fault(self.command)
        if proxy.expired_key and f"Credential={proxy.expired_key}/" in self.headers.get("Authorization", ""):
            self._answer_error(400, "ExpiredToken", "The provided token has expired.")
        elif fault == UNAVAILABLE:
            self._answer_error(503, "SlowDown", "Please reduce your request rate.")
        elif fault == CLOSED:
            self.close_connection = True
        else:
            answer, content = self._forward(body)
            if fault == LOST_ANSWER:
                self.close_connection = True
                return
            if fault == DELAYED:
                time.sleep(DELAY_SECONDS)
            first_byte = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0]
            proxy.sent.append(Sent(self.path.partition("?")[0], int(first_byte), len(content)))
            self._answer(answer.status, answer.getheaders(), content)

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 (the names that the base class calls)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def _forward(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_FORWARDED}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.proxy.server_port, timeout=60)
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        length = next((value for name, value in headers if name.lower() == "content-length"), str(len(content)))
        for name, value in headers:
            if name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer_error(self, status: int, code: str, message: str) -> None:
        text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
        self._answer(status, [("Content-Type", "application/xml")], text.encode())

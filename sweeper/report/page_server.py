"""A server that shows the page of a growing store to browsers on this machine.

It serves two documents. `/page` is the page itself, as it is in its file and under its policy, which allows no request.
`/` holds it in a frame, asks by `HEAD /page` for the page's tag (ETag), and offers to show the page again when the tag
has changed: the frame's own policy allows this one script and requests to this server alone.

The server listens on 127.0.0.1. It answers only requests that name this host and its port, so that no page of another
site can read results through a name that it lets point to this address (DNS rebinding).
"""

import base64
import hashlib
import threading
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from sweeper.errors import SetupError

HOST = "127.0.0.1"
_TEMPLATES = Path(__file__).parent / "templates"


class PageServer:
    """A server of one page on this machine, in threads of its own while its context lasts."""

    def __init__(self, port: int = 0):
        """Listen on a port; 0 stands for a free one.

        Raises:
            SetupError: The port is in use, or may not be used.
        """
        try:
            self._server = _Server((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SetupError(f"--port {port}: the server can't listen on it ({reason}); leave it out") from None
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self._server.server_address[1]}/"

    def show(self, page: bytes) -> None:
        """Serve a page from now on."""
        self._server.page = (page, f'"{hashlib.sha256(page).hexdigest()[:32]}"')

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """The server, with the page and its tag, which are replaced together."""

    daemon_threads = True
    page: tuple[bytes, str] | None = None


class _Handler(BaseHTTPRequestHandler):
    """The answer to one request."""

    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    timeout = 60.0  # seconds after which an idle connection is closed

    def do_GET(self) -> None:
        """Answer with the page, or with the frame around it."""
        port = self.server.server_address[1]
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, b"This server answers for its own address alone.\n")
        elif self.path == "/":
            frame, policy = _frame()
            self._answer(HTTPStatus.OK, frame, {"Content-Security-Policy": policy}, "text/html")
        elif self.path != "/page":
            self._answer(HTTPStatus.NOT_FOUND, b"There is only the page.\n")
        elif self.server.page is None:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"The page is being written; load it again in a moment.\n")
        else:
            page, tag = self.server.page
            is_known = tag in self.headers.get("If-None-Match", "")
            headers = {"ETag": tag, "Content-Security-Policy": "frame-ancestors 'self'"}
            status = HTTPStatus.NOT_MODIFIED if is_known else HTTPStatus.OK
            self._answer(status, b"" if is_known else page, headers, "text/html")

    do_HEAD = do_GET  # noqa: N815 (the name that http.server calls)

    def _answer(
        self, status: HTTPStatus, content: bytes, headers: dict[str, str] | None = None, kind: str = "text/plain"
    ) -> None:
        always = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        self.send_response(status)
        for name, header in {**always, **(headers or {})}.items():
            self.send_header(name, header)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the terminal says when the page is written, not who reads it."""


@cache
def _frame() -> tuple[bytes, str]:
    """Return the document around the page, and its policy."""
    script = (_TEMPLATES / "watch.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    html = (_TEMPLATES / "watch.html").read_text(encoding="utf-8").replace("{script}", script)
    return html.encode(), policy

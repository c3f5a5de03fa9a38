"""Ray's job server as the way to a cluster: the driver is a job of it.

The requests are made with the standard library, because Ray's own client needs the packages of `ray[default]` on the
machine that submits, and waits without a limit for a server that doesn't answer.
"""

import json
import os
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from sweeper.errors import SetupError, UsageError
from sweeper.files import expand_user

from .submission import STOPPED, ConnectionLostError, DriverState, Submission

ANSWER_SECONDS = 20.0
SEND_SECONDS = 300.0
POLL_SECONDS = 1.0
LOG_BYTES_A_SECOND = 100_000  # the server sends the whole log each time, so a long log is read less often
LOOPBACK = ("127.0.0.1", "::1", "localhost")
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404


class RayJobs:
    """The job server of a Ray cluster."""

    def __init__(self, address: str):
        """Make a client; nothing is sent yet.

        Args:
            address: URL of the cluster's dashboard, such as `http://127.0.0.1:8265`.

        Raises:
            UsageError: It is no such URL.
        """
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"--address {address}: give the URL of the cluster's job server, such as http://127.0.0.1:8265, or the "
                "YAML file of a cluster that `ray up` has started"
            )
        self.address = address.rstrip("/")
        self.is_exposed = parts.scheme == "http" and parts.hostname not in LOOPBACK
        self._opener = build_opener(*([ProxyHandler({})] if parts.hostname in LOOPBACK else []))

    def check(self) -> None:
        """Check that the server answers, that it refuses a request without a token, and that it takes this one.

        Raises:
            SetupError: One of them is not so.
        """
        try:
            answer = self._request("GET", "/api/version", token=False)
        except ConnectionLostError as error:
            raise SetupError(
                f"{error}; `ray dashboard CLUSTER.yaml` (or `kubectl port-forward`) opens a way to the job server of a "
                "cluster, and --address names it, or the YAML file of the cluster"
            ) from None
        except HTTPError as error:
            if error.code not in (UNAUTHORIZED, FORBIDDEN):
                raise SetupError(f"{self.address} is not Ray's job server ({error.code} {error.reason})") from None
        else:
            if b"ray_version" not in answer:
                raise SetupError(f"{self.address} is not Ray's job server: it answers, but not as one")
            raise SetupError(
                f"{self.address} answers without a token, so anyone who can reach it can run code on the cluster, and "
                "nothing was sent; start its nodes with RAY_AUTH_MODE=token, as the files in jobs/launch do"
            )
        if not _token():
            raise SetupError(
                f"{self.address} requires a token, and this machine has none; copy the cluster's to ~/.ray/auth_token "
                "or set RAY_AUTH_TOKEN"
            )
        try:
            self._request("GET", "/api/version")
        except HTTPError as error:
            if error.code not in (UNAUTHORIZED, FORBIDDEN):
                raise SetupError(self._problem(error)) from None
            raise SetupError(
                f"{self.address} requires another token than that of this machine ({_token_place()}); copy the "
                "cluster's to ~/.ray/auth_token or set RAY_AUTH_TOKEN"
            ) from None

    def start(self, submission: Submission) -> None:
        """Send the files of a driver, unless the cluster has them, and start it."""
        package = f"_ray_pkg_{submission.bundle.digest[:32]}.zip"
        if not self._exists(f"/api/packages/gcs/{package}"):
            self._send("PUT", f"/api/packages/gcs/{package}", submission.bundle.archive, seconds=SEND_SECONDS)
        if self._exists(self._job(submission.name)):  # an earlier request, whose answer was lost
            return
        request = {
            "entrypoint": submission.command,
            "submission_id": submission.name,
            "runtime_env": {"working_dir": f"gcs://{package}", "env_vars": dict(submission.environment)},
            "metadata": {"job": submission.bundle.sweep.name, "store": submission.store},
        }
        self._send("POST", "/api/jobs/", json.dumps(request).encode(), seconds=SEND_SECONDS)

    def log(self, name: str, position: int) -> Iterator[str]:
        """Yield the log of a driver from a position until the driver ends."""
        while True:
            state = self.state(name)  # read before the log, so that the log of a driver that has ended is whole
            text = json.loads(self._send("GET", f"{self._job(name)}/logs"))["logs"] or ""
            if len(text) > position:
                yield text[position:]
                position = len(text)
            if state.ended:
                return
            time.sleep(max(POLL_SECONDS, len(text) / LOG_BYTES_A_SECOND))

    def state(self, name: str) -> DriverState:
        """Return the state of a driver."""
        details = json.loads(self._send("GET", self._job(name)))
        return _state(details)

    def stop(self, name: str) -> None:
        """Ask a driver to stop; Ray kills it after three seconds."""
        self._send("POST", f"{self._job(name)}/stop", b"")

    def _job(self, name: str) -> str:
        return f"/api/jobs/{quote(name, safe='')}"

    def _exists(self, path: str) -> bool:
        try:
            self._request("GET", path)
        except HTTPError as error:
            if error.code == NOT_FOUND:
                return False
            raise ConnectionLostError(self._problem(error)) from None
        return True

    def _send(self, method: str, path: str, body: bytes | None = None, seconds: float = ANSWER_SECONDS) -> bytes:
        """Return the server's answer to a request.

        Raises:
            SetupError: The server refuses the request.
            ConnectionLostError: It doesn't answer, or can't at the moment.
        """
        try:
            return self._request(method, path, body, seconds)
        except HTTPError as error:
            if error.code == NOT_FOUND and path.startswith("/api/jobs/"):
                raise SetupError(f"{self.address} has no driver {path.split('/')[3]}") from None
            problem = self._problem(error)
            raise (ConnectionLostError if error.code >= 500 else SetupError)(problem) from None

    def _problem(self, error: HTTPError) -> str:
        lines = error.read().decode(errors="replace").strip().splitlines() or [str(error.reason)]
        return f"{self.address}: {error.code} {lines[-1]}"

    def _request(
        self, method: str, path: str, body: bytes | None = None, seconds: float = ANSWER_SECONDS, token: bool = True
    ) -> bytes:
        """Return the body of the server's answer.

        Raises:
            HTTPError: The server answers with an error.
            ConnectionLostError: It doesn't answer.
        """
        request = Request(self.address + path, data=body, method=method)
        request.add_header("Content-Type", "application/json" if path.startswith("/api/jobs") else "application/zip")
        if token:  # not in `headers`, which are sent along to wherever an answer redirects
            request.add_unredirected_header("Authorization", f"Bearer {_token()}")
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                return answer.read()
        except HTTPError:
            raise
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            raise ConnectionLostError(f"{self.address} doesn't answer ({text})") from None


def _state(details: dict[str, Any]) -> DriverState:
    """Return the state in the server's description of a job."""
    match details["status"]:
        case "SUCCEEDED":
            return DriverState(ended=True)
        case "STOPPED":
            return DriverState(ended=True, exit_code=STOPPED, message="stopped")
        case "FAILED":
            code = details.get("driver_exit_code")
            if isinstance(code, int) and (0 < code < 128 or code == STOPPED):
                return DriverState(ended=True, exit_code=code)
            return DriverState(ended=True, exit_code=1, message=str(details.get("message") or "it failed"))
        case _:
            return DriverState(ended=False)


def _token() -> str:
    """Return Ray's token, found where Ray itself looks for it; "" if there is none."""
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    try:
        return token_file().read_text().strip()
    except OSError:
        return ""


def token_file() -> Path:
    """Return the file in which Ray looks for its token."""
    return expand_user(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token")


def _token_place() -> str:
    return "RAY_AUTH_TOKEN" if os.environ.get("RAY_AUTH_TOKEN", "").strip() else str(token_file())

"""A stand-in for Ray's job server: its HTTP interface, the token included, without a cluster behind it.

A job runs as a process of this machine, in the folder to which its package was unpacked. The tests that use it run
against Ray's own server as well where `ray[default]` is installed, so the two can't differ.
"""

import io
import json
import os
import signal
import subprocess
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKEN = "0123456789abcdef" * 2


class JobServer:
    """A job server on a port of the loopback device."""

    def __init__(self, folder: Path, token: str = TOKEN):
        self.folder = folder
        self.token = token
        self.requests: list[str] = []  # the method and path of each request that carried the token
        self.packages: dict[str, bytes] = {}
        self.jobs: dict[str, subprocess.Popen[bytes]] = {}
        self.stopped: set[str] = set()
        self._port = 0
        self.open()

    @property
    def address(self) -> str:
        """The URL of the server."""
        return f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        """Answer requests, on the same port as before."""
        job_server = self

        class Handler(_Handler):
            server_state = job_server

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop answering, as if the connection were lost; the jobs go on."""
        self._server.shutdown()
        self._server.server_close()

    def end(self) -> None:
        """Stop answering, and end the jobs."""
        self.close()
        for process in self.jobs.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def submit(self, request: dict) -> None:
        """Start a job."""
        name, environment = request["submission_id"], request["runtime_env"]
        folder = self.folder / name
        package = environment["working_dir"].removeprefix("gcs://")
        zipfile.ZipFile(io.BytesIO(self.packages[package])).extractall(folder)
        self.jobs[name] = subprocess.Popen(
            request["entrypoint"],
            shell=True,
            cwd=folder,
            stdout=self._log(name).open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "1"} | environment["env_vars"],
        )

    def details(self, name: str) -> dict:
        """Return the description of a job."""
        code = self.jobs[name].poll()
        if code is None:
            return {"status": "RUNNING", "driver_exit_code": None, "message": "Job is currently running."}
        if name in self.stopped:
            return {"status": "STOPPED", "driver_exit_code": None, "message": "Job was intentionally stopped."}
        status = "FAILED" if code else "SUCCEEDED"
        return {"status": status, "driver_exit_code": code, "message": "Job entrypoint command failed."}

    def logs(self, name: str) -> str:
        """Return the log of a job so far."""
        return self._log(name).read_text()

    def stop(self, name: str) -> None:
        """Send SIGTERM to a job's processes."""
        self.stopped.add(name)
        os.killpg(self.jobs[name].pid, signal.SIGTERM)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


class _Handler(BaseHTTPRequestHandler):
    server_state: JobServer

    def log_message(self, format: str, *args: object) -> None:
        pass  # it would print each request

    def do_GET(self) -> None:
        if self._authorized():
            match self.path.strip("/").split("/"):
                case ["api", "version"]:
                    self._answer(200, json.dumps({"ray_version": "2.60.0"}))
                case ["api", "packages", "gcs", name]:
                    self._answer(200 if name in self.server_state.packages else 404, "")
                case ["api", "jobs", name] if name in self.server_state.jobs:
                    self._answer(200, json.dumps(self.server_state.details(name)))
                case ["api", "jobs", name, "logs"] if name in self.server_state.jobs:
                    self._answer(200, json.dumps({"logs": self.server_state.logs(name)}))
                case _:
                    self._answer(404, "there is no such thing")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._authorized():
            self.server_state.packages[self.path.rpartition("/")[2]] = body
            self._answer(200, "")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._authorized():
            match self.path.strip("/").split("/"):
                case ["api", "jobs"]:
                    self.server_state.submit(json.loads(body))
                    self._answer(200, json.dumps({"submission_id": json.loads(body)["submission_id"]}))
                case ["api", "jobs", name, "stop"]:
                    self.server_state.stop(name)
                    self._answer(200, json.dumps({"stopped": True}))

    def _authorized(self) -> bool:
        given = self.headers.get("Authorization", "")
        if self.server_state.token and given != f"Bearer {self.server_state.token}":
            self._answer(403 if given else 401, "Unauthorized")
            return False
        if given:
            self.server_state.requests.append(f"{self.command} {self.path}")
        return True

    def _answer(self, status: int, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

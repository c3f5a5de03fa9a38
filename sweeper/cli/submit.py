"""The commands `submit`, `follow` and `stop`, which run a job on a cluster that this machine is not a part of."""

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import SetupError, UsageError
from sweeper.remote import bundle as bundles
from sweeper.remote.follow_log import follow_log
from sweeper.remote.ray_exec import RayExec
from sweeper.remote.ray_jobs import RayJobs
from sweeper.remote.submission import Cluster, ConnectionLostError, Submission, prepare
from sweeper.resources import job as find_job

from . import cards, places, show

INTERRUPTED = 130
ATTEMPTS = 3  # to send the files and the request


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """The options of the command `submit`."""

    address: str
    store: str | None = None
    environment: Sequence[str] = ()  # NAME, or NAME=VALUE
    wait: bool = False
    trust: bool = False
    retry_failed: bool = False
    data_on_cluster: bool = False
    dry_run: bool = False
    follow: bool = True


def submit_job(job: str, overrides: Sequence[str], options: SubmitOptions) -> int:
    """Check a job, send it to a cluster, follow its driver, and return the driver's exit code.

    Raises:
        JobError: The job has mistakes.
        UsageError: The store or a file of the job is not one of the cluster.
        SetupError: The cluster can't be used.
    """
    cluster = _cluster(options.address)
    file = find_job(job)
    _check(file, overrides, options)
    environment = _environment(options.environment)
    given = {"--wait": options.wait, "--trust": options.trust, "--retry-failed": options.retry_failed}
    run_options = [name for name, is_given in given.items() if is_given]
    submission = prepare(bundles.pack(file, overrides), overrides, options.store, environment, run_options)
    if options.dry_run:
        _print_submission(submission, cluster)
        return 0
    _start(cluster, submission)
    if not options.follow:
        show.write(submission.name)
        return 0
    return _follow(cluster, submission.name)


def follow_driver(name: str, address: str) -> int:
    """Follow the log of a driver, and return its exit code."""
    cluster = _cluster(address)
    cluster.check()
    return _follow(cluster, name)


def stop_driver(name: str, address: str) -> int:
    """Ask a driver to stop, wait until it has ended, and return 0."""
    cluster = _cluster(address)
    cluster.check()
    try:
        cluster.stop(name)
        state = follow_log(cluster, name, lambda text: None, show.say)
    except ConnectionLostError as error:
        raise SetupError(str(error)) from None
    show.say(f"{name} has ended (exit code {state.exit_code}); finished tasks are kept")
    return 0


def _cluster(address: str) -> Cluster:
    return RayExec(address) if address.endswith((".yaml", ".yml")) else RayJobs(address)


def _check(file: Path, overrides: Sequence[str], options: SubmitOptions) -> None:
    """Check a job on this machine, before anything is sent."""
    if not options.data_on_cluster:
        places.load_job(str(file), overrides, options.trust, cards.fetch)
        return
    from sweeper.spec.job.load import check_without_data

    with show.prints_on_stderr():
        check_without_data(file, overrides, options.trust)


def _environment(variables: Iterable[str]) -> dict[str, str]:
    """Return environment variables by name, given as NAME=VALUE, or as NAME for the value on this machine.

    Raises:
        UsageError: A variable has no name, or isn't set on this machine.
    """
    values = {}
    for variable in variables:
        name, given, value = variable.partition("=")
        if not name.isidentifier():
            raise UsageError(f"--env {variable}: give NAME, or NAME=VALUE")
        if not given and name not in os.environ:
            raise UsageError(f"--env {name}: {name} is not set on this machine; set it, or give {name}=VALUE")
        values[name] = value if given else os.environ[name]
    return values


def _print_submission(submission: Submission, cluster: Cluster) -> None:
    """Print what would be sent; of environment variables only the names, because values can be secrets."""
    files = submission.bundle.files
    own_names = {name for name in files if name.startswith("sweeper")}
    own_bytes = sum(len(files[name]) for name in own_names)
    lines = [f"{show.format_bytes(len(files[name])):>8}  {name}" for name in sorted(files.keys() - own_names)]
    lines += [f"{show.format_bytes(own_bytes):>8}  Sweeper itself ({len(own_names)} files)"]
    show.write(
        "\n".join(
            [
                f"to:           {cluster.address}",
                f"name:         {submission.name}",
                f"command:      {submission.command}",
                f"environment:  {', '.join(sorted(submission.environment)) or 'nothing'}",
                f"files:        {show.format_bytes(len(submission.bundle.archive))} compressed",
                *(f"  {line}" for line in lines),
                "expected on the cluster:",
                *(f"  {thing}" for thing in submission.bundle.expected),
            ]
        )
    )


def _start(cluster: Cluster, submission: Submission) -> None:
    """Send a submission, again if the connection is lost meanwhile, and say how to watch and stop its driver."""
    cluster.check()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            cluster.start(submission)
            break
        except ConnectionLostError as error:
            if attempt == ATTEMPTS:
                raise SetupError(
                    f"{error}; `sweeper follow` may show that the driver has started all the same"
                ) from None
            show.say(f"{error}; trying again")
    size = show.format_bytes(len(submission.bundle.archive))
    show.say(f"{submission.name} starts on {cluster.address} ({size} sent); it goes on without this machine")
    show.say(
        f"watch:   sweeper status --watch --store {shlex.quote(submission.store)}", *_lines(cluster, submission.name)
    )


def _lines(cluster: Cluster, name: str) -> list[str]:
    """Return the commands that follow and stop a driver."""
    target = f"{name} --address {shlex.quote(cluster.address)}"
    return [f"follow:  sweeper follow {target}", f"stop:    sweeper stop {target}"]


def _follow(cluster: Cluster, name: str) -> int:
    """Write a driver's log to stdout until it ends, and return its exit code."""
    try:
        state = follow_log(cluster, name, _write, show.say)
    except KeyboardInterrupt:
        show.say("", f"{name} goes on", *_lines(cluster, name))
        return INTERRUPTED
    except ConnectionLostError as error:
        show.say(f"{error}; {name} goes on", *_lines(cluster, name))
        return 1
    if state.message:
        show.say(f"{name}: {state.message}")
    return state.exit_code


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()

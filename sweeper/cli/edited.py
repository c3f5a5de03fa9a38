"""The text of a job in its store, and how the job's file differs from it: `resume` runs the job of the store."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from sweeper.errors import JobError

_FILE = "# job file: "
_MOST_DIFFERENCES = 8


def job_text(text: str, file: Path, overrides: Sequence[str]) -> str:
    """Return the text that a store keeps of a job: that of its file, and the overrides and its path as comments."""
    end = "" if text.endswith("\n") else "\n"
    return "".join([text, end, *(f"# {override}\n" for override in overrides), f"{_FILE}{file.absolute()}\n"])


def differences(stored_text: str, store: str) -> str:
    """Return a sentence on what differs between a stored job and its file; "" if nothing, or if there is no file.

    Args:
        stored_text: The job's text in the store, which names the file.
        store: The path or URL of the store, for the command that runs the file.
    """
    from sweeper.spec.job import source

    lines = stored_text.splitlines()
    if not lines or not lines[-1].startswith(_FILE):
        return ""  # an earlier version, or the Python API, stored the job
    file = Path(lines[-1].removeprefix(_FILE))
    try:
        stored = dict(_settings(source.parse(stored_text, "")[0].plain()))
        present = dict(_settings(source.parse(source.read_text(file), "")[0].plain()))
    except JobError:
        return ""  # the file was moved or is not a job now
    changes = [
        f"{key} is {stored.get(key, 'absent')} in the store and {present.get(key, 'absent')} in the file"
        for key in {**stored, **present}
        if stored.get(key) != present.get(key)
    ]
    if not changes:
        return ""
    command = f"sweeper run {shlex.quote(str(file))} --store {shlex.quote(store)}"
    more = f"; and {len(changes) - _MOST_DIFFERENCES} more" if len(changes) > _MOST_DIFFERENCES else ""
    return (
        f"{file} was edited after this job was stored, and resume runs the stored job: "
        f"{'; '.join(changes[:_MOST_DIFFERENCES])}{more}. `{command}` runs the edited one"
    )


def _settings(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted key and the value of each setting of a job."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if not children:
        yield key, "nothing" if value is None else str(value)
        return
    for name, child in children:
        yield from _settings(child, f"{key}.{name}" if key else str(name))

"""Tests of what a lease object says of the process that holds a store."""

import json
import os
from dataclasses import replace

import pytest

from sweeper.store.holder import Holder


def test_a_holder_is_read_back_without_the_fields_of_later_versions():
    holder = Holder.of_this_process(120.0)
    assert Holder.from_json(holder.to_json()) == holder
    assert Holder.from_json(json.dumps(json.loads(holder.to_json()) | {"later": 1}).encode()) == holder
    assert holder.is_on_this_machine
    assert not holder.has_ended
    assert str(holder).startswith(f"process {os.getpid()} on {os.uname().nodename}, which has held it since 20")


def test_a_lease_object_of_an_earlier_version_has_no_time_of_its_beginning():
    values = json.loads(Holder.of_this_process(120.0).to_json())
    del values["since"]
    assert str(Holder.from_json(json.dumps(values).encode())).endswith(os.uname().nodename)


@pytest.mark.parametrize(
    "change",
    [
        {"pid": "1"},
        {"pid": True},
        {"at": 5},
        {"at": "noon"},
        {"at": ""},
        {"silence": float("nan")},
        {"silence": -1.0},
        {"silence": "x"},
        {"free": 1},
        {"host": None},
        {"since": "noon"},
    ],
    ids=str,
)
def test_what_is_no_holder_is_refused(change: dict[str, object]):
    holder = replace(Holder.of_this_process(120.0), **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"is |isoformat"):
        Holder.from_json(holder.to_json())


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b"null", b'"x"'])
def test_other_content_is_refused(content: bytes):
    with pytest.raises(ValueError, match=r"."):
        Holder.from_json(content)

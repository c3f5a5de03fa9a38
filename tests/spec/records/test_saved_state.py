"""Tests of the metadata of saved states."""

import json
import math

import numpy as np
import pytest
from safetensors.numpy import save

from sweeper.spec.records.saved_state import StateError, read_facts, to_metadata


def test_facts_are_read_back_with_all_their_bits() -> None:
    values = {"loss": 0.1 + 0.2, "tiny": math.ulp(0.0), "infinite": math.inf, "curve": [[1, "train", 1e-300, None]]}
    content = save({"x": np.arange(3.0)}, to_metadata(["a", "b"], values))
    facts = read_facts(content)
    assert facts.tasks == ("a", "b")
    assert facts.values == values


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"\xff" * 100,
        save({"x": np.arange(3.0)}),
        save({}, {"tasks": "[", "values": "{}"}),
        save({}, {"tasks": "3", "values": "{}"}),
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + json.dumps(None).encode(),
    ],
    ids=["empty", "short", "binary", "no facts", "broken facts", "no tasks", "a list", "null"],
)
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(StateError, match="it is not a saved state"):
        read_facts(content)

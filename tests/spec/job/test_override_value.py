"""Tests of values on the command line: lists without brackets, mappings among them, texts with reserved characters."""

import pytest

from sweeper.spec.job.override_value import as_yaml
from sweeper.spec.job.source import parse_value

CONV = {"name": "conv", "kernel": 3}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("4,8", [4, 8]),
        ("conv1x1,{name: conv, kernel: 3}", ["conv1x1", CONV]),
        ("{name: conv, kernel: 3},conv1x1", [CONV, "conv1x1"]),
        ("{name: conv, kernel: 3}, {name: conv, kernel: [1, 3]}", [CONV, {"name": "conv", "kernel": [1, 3]}]),
        ("{name: conv, kernel: 3}", CONV),
        ("[1, 2],[3]", [[1, 2], [3]]),
        ("[1, 2]", [1, 2]),
        ("'a,b'", "a,b"),
        ("'a,b',c", ["a,b", "c"]),
        ("{name: 'a, }b', k: 1},c", [{"name": "a, }b", "k": 1}, "c"]),
        ("it's,fine", ["it's", "fine"]),
        ("a.seed in [1, 2] and (a.x, b)", "a.seed in [1, 2] and (a.x, b)"),
        ("torchvision:resnet18,mlp", ["torchvision:resnet18", "mlp"]),
        ("4,", "4,"),
        ("*", "*"),
        ("*,1", ["*", 1]),
        ("@x", "@x"),
        ("", None),
    ],
)
def test_a_value_is_read_as_it_is_meant(text, value):
    assert parse_value(as_yaml(text), "override").plain() == value

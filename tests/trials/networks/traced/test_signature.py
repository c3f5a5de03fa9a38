"""Tests of the arguments that are read from the signature of a user's network, and of the values that they take."""

import enum
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, Union

import pytest
from torch import nn

from sweeper.errors import SweeperError
from sweeper.spec.cards.user_networks import Argument, UserNetwork
from sweeper.trials.networks.traced.signature import read_arguments

if TYPE_CHECKING:
    from nowhere import Missing  # type: ignore[import-not-found]

Width = NewType("Width", int)
Norm = Literal["batch", "none", 2]


def several(
    num_classes: int,
    in_channels,
    image,
    a: int,
    b: float = 1,
    c: "bool" = False,
    d: Optional[float] = None,  # noqa: UP045 (the older spelling is what is tested)
    e: Union[int, str] = 3,  # noqa: UP007
    f: Norm = "batch",
    g: Literal["x"] | None = "x",
    h: Annotated[Width, "of the first layer"] = 8,  # type: ignore[assignment]
    i=0.5,
    j=None,
    *,
    k: "Missing" = "text",
    m: list[int] = [1],  # noqa: B006
    n: Callable[[], nn.Module] = nn.ReLU,
    o: int | Sequence[int] = 4,
    p: Any = True,
    q: int = 0.5,  # type: ignore[assignment]
    r: float = float("inf"),
    s=nn.ReLU,
) -> None: ...


def argument(function: Callable[..., Any], name: str) -> Argument:
    """Return an argument of a function."""
    return next(argument for argument in read_arguments(function)[0] if argument.name == name)


def network(function: Callable[..., Any]) -> UserNetwork:
    """Return a function as a network of a job."""
    arguments, takes_any = read_arguments(function)
    return UserNetwork("nets.py:net", "net@12345678", "/nets.py:net", 3, arguments, takes_any)


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("a", [3, -1], [2.5, True, "3", "none"]),
        ("b", [3, 2.5], [True, "x", "none"]),
        ("c", [True, False], [1, "true"]),
        ("d", [0.5, 1, "none"], ["None", True]),
        ("e", [1, "x"], [0.5, True]),
        ("f", ["batch", "none", 2], ["layer", 2.0, True, 3]),
        ("g", ["x", "none"], ["y", 1]),
        ("h", [8], [0.5, "x"]),
        ("i", [0.5, 1], ["x", True]),
        ("j", [1, 0.5, True, "x", "none"], []),
        ("k", ["text"], [1]),
        ("o", [1], [0.5]),
        ("p", [1, 0.5, False, "x"], []),
        ("q", [1, 0.5], ["x"]),
        ("r", [0.5, 1], ["x"]),
        ("m", [], [1, "x"]),
        ("n", [], [1, "ReLU"]),
        ("s", [], [1, "ReLU"]),
    ],
)
def test_an_argument_takes_the_values_of_its_annotation_or_default(
    name: str, allowed: list[Any], refused: list[Any]
) -> None:
    def misfits(value: Any) -> bool:
        return bool(network(several).problems({name: value}, complete=False))

    assert [value for value in allowed if misfits(value)] == []
    assert [value for value in refused if not misfits(value)] == []


def test_every_setting_is_completed_in_the_type_of_its_argument() -> None:
    assert dict(network(several).complete({"a": 2, "d": 1, "i": 1})) == {
        "a": 2,
        "b": 1.0,
        "c": False,
        "d": 1.0,
        "e": 3,
        "f": "batch",
        "g": "x",
        "h": 8,
        "i": 1.0,
        "j": "none",
        "k": "text",
        "o": 4,
        "p": True,
        "q": 0.5,
    }
    with pytest.raises(SweeperError, match="needs a value for its argument 'a'"):
        network(several).complete({})


def test_arguments_that_the_data_set_gives_are_no_settings() -> None:
    assert not {"num_classes", "in_channels", "image"} & set(network(several).settings)


def test_the_text_of_an_argument_is_that_of_the_signature() -> None:
    assert argument(several, "a").text == "a: int"
    assert argument(several, "c").text == "c: bool = False"
    assert argument(several, "i").text == "i=0.5"
    assert argument(several, "k").text == "k: Missing = 'text'"


class Plain(nn.Module):
    """A network without a constructor."""


class Inherited(nn.Sequential):
    """A network with the constructor of a list of layers."""


class Base(nn.Module):
    """A network with a constructor that another inherits."""

    def __init__(self, num_classes: int, width: int = 4) -> None:
        super().__init__()


class Derived(Base):
    """A network that inherits its constructor."""


class Open(Base):
    """A network with arguments of any name."""

    def __init__(self, depth: int, **settings: int) -> None:
        super().__init__(**settings)


@functools.wraps(several)
def wrapped(*arguments: Any, **settings: Any) -> None:
    """Call the function behind a decorator."""


class Color(enum.Enum):
    """An enumeration, whose members no job can name."""

    RED = 1


def test_signatures_of_classes_partial_functions_and_decorators_are_read() -> None:
    assert read_arguments(Plain) == ((), False)
    assert read_arguments(Inherited) == ((), False)
    assert [argument.name for argument in read_arguments(Derived)[0]] == ["width"]
    assert network(Open).takes_any
    assert network(Open).complete({"depth": 1, "width": 8}) == (("depth", 1), ("width", 8))
    assert network(Open).problems({"depth": 1, "num_classes": 8})
    assert network(wrapped).settings == network(several).settings
    partial = functools.partial(Base, width=16)
    assert argument(partial, "width").default == 16
    assert argument(lambda width=3: None, "width").types == ("int",)


def test_an_enumeration_is_left_at_its_default() -> None:
    def net(color: Color = Color.RED) -> None: ...

    assert network(net).settings == ()
    assert network(net).complete({}) == ()

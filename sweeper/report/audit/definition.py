"""Definitions of the paper's figures: which results of a store are compared with which curve.

They are read from `analysis/paper/figures/*.yaml`, one file per figure and quantity. Their expressions are SQL of
DuckDB. The expressions that select pairs of models (`where`, `level`, `by`, `needs`) can use:

    bottom, top    A's and B's settings: `top.samples`, `bottom.width`, ...
    differ         names of the settings in which A and B differ, except seeds: `differ = ['samples']`
    comparing      settings of the stitch (`comparing.stitcher`, ...) or of the similarity (`comparing.measure`)
    self           true if A and B are the same model
    same_run       true if A and B are different snapshots of one training run

The expressions for the compared number and its place on the figure's axis (`value`, `x`) can also use:

    curve                         name of the paper's curve that the pair was assigned to
    cut, position, depth          of the cut, in B
    penalty, gain, net_gain, test_error, a_error, b_error    of a stitch
    value                         of a similarity

A figure `of: models` compares errors of whole networks: A is any network, B is a network with frozen layers. There is
no cut, and the numbers are `a_error` and `b_error`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML

from sweeper.errors import UsageError
from sweeper.resources import paper_dir

Setting = bool | int | float | str | None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Role(_Part):
    """A selection of the pairs of models that are compared with one curve.

    Each pair of the figure for which `where` holds is assigned to the curve whose `level` is nearest on a logarithmic
    scale. If a curve gets pairs of several levels, those of the nearest level are compared with it.
    """

    where: str = "true"
    # Pairs that are preferred to others of the same level, those of the paper's own settings first.
    prefer: Annotated[tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)] = ()
    level: float | None = Field(None, gt=0)  # in the paper; None: the curve has no level
    by: str = ""  # SQL of a pair's level, if it differs from the figure's `level`
    means: str = ""  # the meaning of `by` in words
    lacks: str = ""  # what Sweeper would need to produce results for this curve


class Figure(_Part):
    """A figure of the paper, or one quantity of it, with the selection of results for its curves."""

    name: str  # of the file, without `.yaml`
    figure: str
    question: str
    quantity: Literal["penalty", "test_error", "cka", "one_minus_cka"]
    axis: Literal["depth", "kernel", "layer", "steps"]
    of: Literal["stitches", "similarities", "models"] = "stitches"
    x: str = ""  # SQL of a stitch's place on the paper's axis
    value: str = ""  # SQL of the compared number
    whole: bool = False  # curves end at x = 1 with A alone (A's error minus B's), except where A and B are alike
    where: str = "true"  # SQL: the pairs that the figure is about
    needs: str = "true"  # SQL that must hold of at least one pair of a setting; leaves out settings with controls only
    level: str = ""  # SQL of a pair's level
    level_means: str = ""  # the meaning of `level` in words
    curves: Mapping[str, Role] = {}
    varies: tuple[str, ...] = ()  # settings of B and of the stitch in which the curves differ, or that are the axis
    margin: float = Field(1.0, ge=0)  # in the unit of the value
    protocol: Mapping[str, Setting] = {}  # the paper's settings that differ from protocol.yaml; null: they vary
    fills: tuple[str, ...] = ()  # jobs of Sweeper that produce the figure's results
    lacks: str = ""  # what Sweeper would need to produce them, if no job does
    notes: tuple[str, ...] = ()

    @property
    def signed(self) -> bool:
        """True if the sign of a value has a meaning."""
        return self.quantity == "penalty"

    @property
    def has_control(self) -> bool:
        """True if the values are penalties of stitches, whose control is B stitched to itself."""
        return self.signed and self.of == "stitches"

    @model_validator(mode="after")
    def _check_completeness(self) -> Self:
        if self.curves and not (self.x and self.value):
            raise ValueError("curves need an x and a value")
        if not self.fills and not self.lacks:
            raise ValueError("give `fills` (jobs that produce its results) or `lacks` (what they would need)")
        return self


def figures() -> dict[str, Figure]:
    """Return all definitions by name, in the order of the paper."""
    common = _read(paper_dir() / "protocol.yaml")
    figures_by_name = {}
    for path in sorted((paper_dir() / "figures").glob("*.yaml"), key=lambda path: path.stem):
        raw = _read(path)
        protocol = common | raw.pop("protocol", {})
        try:
            figures_by_name[path.stem] = Figure(name=path.stem, protocol=protocol, **raw)
        except ValidationError as error:
            raise UsageError(f"{path}: {error}") from None
    return figures_by_name


def choose_figures(names: Sequence[str]) -> list[Figure]:
    """Return the figures of these names (`2C`, `5-cka`) or numbers (`5` is all of figure 5); all if `names` is empty.

    Raises:
        UsageError: The paper has no such figure.
    """
    all_figures = figures()
    for name in names:
        if not any(_has_name(figure, name) for figure in all_figures.values()):
            raise UsageError(f"no figure {name!r}; the figures are: {', '.join(all_figures)}")
    return [figure for figure in all_figures.values() if not names or any(_has_name(figure, name) for name in names)]


def _has_name(figure: Figure, name: str) -> bool:
    return name.lower() in (figure.name.lower(), figure.figure.lower())


def _read(path: Path) -> dict[str, Any]:
    return YAML(typ="safe", pure=True).load(path)

"""The command that runs the benchmarks one after another: `make bench`, or `python -m bench [NAME ...]`.

Each file here is a script that prints its figures as lines of JSON. The figures are collected in bench/out.jsonl and
printed as a table. `ratio` is the factor by which a figure is better than its baseline or budget: above 1 is good.
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OUT = HERE / "out.jsonl"
NOT_BENCHMARKS = {"__main__", "authors", "cifar", "record", "scale_job"}


def main(names: list[str]) -> int:
    """Run the named benchmarks (default: all).

    Returns:
        The exit code: 0, 1 if a benchmark failed, 2 if a name is unknown.
    """
    benchmarks = {path.stem: path for path in sorted(HERE.glob("*.py")) if path.stem not in NOT_BENCHMARKS}
    if unknown := [name for name in names if name not in benchmarks]:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(benchmarks)}", file=sys.stderr)
        return 2
    failed, figures = [], []
    for name in names or benchmarks:
        print(f"{name} ...", file=sys.stderr, flush=True)
        process = subprocess.run([sys.executable, benchmarks[name]], stdout=subprocess.PIPE, text=True, check=False)
        figures += [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]
        failed += [name] if process.returncode else []
    OUT.write_text("".join(json.dumps(figure) + "\n" for figure in figures))
    print_table(figures)
    print(f"\n{len(figures)} figures in {OUT}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def print_table(figures: list[dict]) -> None:
    """Print the figures in aligned columns, and below them each machine once."""
    rows = [("figure", "value", "unit", "baseline", "ratio")]
    rows += [(f["name"], _text(f["value"]), f["unit"], _text(f["baseline"]), _text(f["ratio"])) for f in figures]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, value, unit, baseline, ratio in rows:
        cells = (name.ljust(widths[0]), value.rjust(widths[1]), unit.ljust(widths[2]))
        print("  ".join((*cells, baseline.rjust(widths[3]), ratio.rjust(widths[4]))))
    for machine in dict.fromkeys(figure["machine"] for figure in figures):
        print(f"\non {machine}")


def _text(number: float | None) -> str:
    return "" if number is None else f"{number:.0f}" if abs(number) >= 1e4 else f"{number:.4g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

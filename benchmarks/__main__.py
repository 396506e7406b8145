"""All ratios in one table: `make bench`; or parts of it: `python -m benchmarks input step` (see `PARTS`)."""

import argparse

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.rows import machine

PARTS = ("input", "step", "overlap", "wait", "memory", "start")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    from benchmarks import input_pipeline, stages, step_time

    console, rows, details = Console(), [], None
    if not console.is_terminal:
        console = Console(width=170)  # a file has room for whole lines
    wanted = options.parts or PARTS
    with Progress(console=console, transient=True) as progress:
        if "input" in wanted:
            rows += input_pipeline.measure(progress, rounds=options.rounds)
        if "step" in wanted:
            found, details = step_time.measure(progress, rounds=options.rounds)
            rows += found
        if "overlap" in wanted:
            rows += stages.overlap(progress, rounds=options.rounds)
        if "wait" in wanted:
            rows += stages.wait(progress)
        if "memory" in wanted:
            rows += stages.memory(progress)
        if "start" in wanted:
            rows += step_time.start(progress, rounds=options.rounds)
    columns = ("what", "ours", "beside", "ratio", "min - max", "target", "reached")
    table = Table(*columns, title="All ratios", caption=machine())
    for row in rows:
        table.add_row(*row.cells())
    console.print(table)
    if details is not None:
        console.print(details)


if __name__ == "__main__":
    main()

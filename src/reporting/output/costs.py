"""What the rows of a table cost: size, multiplications, time and memory.

Never two machines in one column, and no times of trainings that shared a machine: they tell of each other.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from src.reporting.comparison import Comparison
from src.reporting.rows import Row

_ALIKE = 1.1  # times that differ by less are called the same


@dataclass(frozen=True)
class Cost:
    """A column.

    Attributes:
        key: its name in the CSV.
        heading: with the unit in which it is shown.
        sentence: how it reads where all rows have the same, with {} for the number.
        unit: what one of the shown unit is of that in the CSV.
        measured: whether it depends on the machine.
        timed: whether it also depends on what else the machine does.
        read: from `results.json` and the variant to the value in the unit of the CSV, or None.
    """

    key: str
    heading: str
    sentence: str
    unit: float
    measured: bool
    read: Callable[[Mapping[str, Any], str], float | None]
    timed: bool = False


COSTS = (
    Cost("parameters", "parameters, M", "{} M parameters", 1e6, False, lambda r, _: _costs(r).get("parameters")),
    Cost(
        *("multiply_adds", "multiply-adds, G", "{} G multiply-adds for an image of the training crop's size", 1e9),
        *(False, lambda r, _: _costs(r).get("multiply_adds")),
    ),
    Cost(
        *("seconds_per_image", "ms per image", "about {} ms per image", 1e-3, True),
        lambda r, variant: _costs(r).get("seconds", {}).get(variant),
        timed=True,
    ),
    Cost(
        *("memory", "training memory, GB", "about {} GB of memory in training", 1e9, True),
        lambda r, _: r.get("training", {}).get("memory"),
    ),
    Cost(
        *("training_seconds", "training, min", "about {} minutes of training", 60, True),
        lambda r, _: r.get("training", {}).get("seconds"),
        timed=True,
    ),
)


def _costs(results: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = results.get("costs", {})
    return found


def value(table: Comparison, row: Row, cost: Cost) -> float:
    """A row's cost in the unit of the CSV, over its seeds: the median of times, else the mean; NaN if it is unknown."""
    if (cost.measured and len(machines(table)) > 1) or (cost.timed and _at_once(table) > 1):
        return math.nan
    found = [cost.read(table.counts[id(cell)].results, row.variant) for cell in row.done]
    known = [float(one) for one in found if one is not None]
    return math.nan if not known else median(known) if cost.measured else mean(known)


def text(number: float, cost: Cost) -> str:
    """A cost in the unit in which it is shown, with three digits; empty if it is unknown."""
    shown = number / cost.unit
    return "" if math.isnan(shown) else f"{shown:.0f}" if shown >= 100 else f"{shown:#.3g}".rstrip(".")


def differing(table: Comparison) -> list[Cost]:
    """Those that differ between the rows, so that a column tells something."""
    found = []
    for cost in COSTS:
        numbers = [value(table, row, cost) for row in table.rows if row.done]
        known = [number for number in numbers if not math.isnan(number)]
        if known and (len(known) < len(numbers) or max(known) > (_ALIKE if cost.measured else 1) * min(known)):
            found.append(cost)
    return found


def sentences(table: Comparison) -> list[str]:
    """What all rows have in common, and what times and memory were measured on."""
    done = [row for row in table.rows if row.done]
    apart, known = differing(table), [cost for cost in COSTS if any(value(table, row, cost) >= 0 for row in done)]
    said = []
    if alike := [cost for cost in known if cost not in apart]:
        each = [cost.sentence.format(text(median(value(table, row, cost) for row in done), cost)) for cost in alike]
        said.append(f"{'Every row' if len(done) > 1 else 'The row'}: {', '.join(each)}.")
    there = machines(table)
    if len(there) > 1:
        said.append(f"Times and memory are left out, as the rows ran on different machines: {'; '.join(there)}.")
    elif there and any(cost.measured for cost in known):
        without = (
            ", without the network" if any("without_network" in _costs(found) for found in _results(table)) else ""
        )
        alone = f"Times of an image are of one image alone{without}."
        if (count := _at_once(table)) > 1:
            alone = f"Times are left out, as {count} trainings shared the machine."
        said.append(f"{alone} Measured on: {there[0]}.")
    return said


def _at_once(table: Comparison) -> int:
    """The most trainings that shared the machine of a run while it was measured."""
    return max((_costs(results).get("jobs", 1) for results in _results(table)), default=1)


def machines(table: Comparison) -> list[str]:
    """What the runs with costs ran on, in words: each only once."""
    return list(dict.fromkeys(_machine(results) for results in _results(table) if "costs" in results))


def _results(table: Comparison) -> list[Mapping[str, Any]]:
    return [counts.results for counts in table.counts.values()]


def _machine(results: Mapping[str, Any]) -> str:
    facts = results.get("machine", {})
    words = [str(facts.get("device", "an unknown machine")), str(facts.get("precision", ""))]
    words += ["channels-last"] * bool(facts.get("channels_last"))
    words += [f"{count} thread{'s' * (count != 1)}" for count in [facts.get("threads")] if count]
    words += [f"{facts['processes']} processes"] * (facts.get("processes", 1) > 1)
    return ", ".join(word for word in words if word)

"""The figure of mIoU over what it costs."""

from matplotlib.figure import Figure

from src.reporting.comparison import Comparison
from src.reporting.output import costs
from src.reporting.output.figures.style import COLOURS, MARKS, text

_BESIDE = 3  # plots in a line


def over_costs(table: Comparison) -> Figure | None:
    """MIoU of each row over each cost that differs between rows, with 95 % intervals; a number names each row."""
    rows = [row for row in table.rows if row.estimate is not None]
    apart = [cost for cost in costs.differing(table) if all(costs.value(table, row, cost) > 0 for row in rows)]
    if len(rows) < 2 or not apart:
        return None
    lines = -(-len(apart) // _BESIDE)
    height = 2.9 * lines + 0.16 * len(rows)
    figure = Figure(figsize=(2.9 * min(_BESIDE, len(apart)) + 0.6, height), layout="constrained")
    drawn = figure.subplots(lines, min(_BESIDE, len(apart)), sharey=True, squeeze=False).flatten()
    for axes, cost in zip(drawn, apart, strict=False):
        for k, row in enumerate(rows):
            assert row.estimate is not None
            x = costs.value(table, row, cost) / cost.unit
            value, low, high = (100 * float(getattr(row.estimate, key)[0]) for key in ("value", "low", "high"))
            mark, colour = MARKS[row.verdict][0], COLOURS[k % len(COLOURS)]
            axes.plot([x, x], [low, high], color=colour, linewidth=1.2)
            label = f"{k + 1}  {text(table.label(row))}" if axes is drawn[0] else None
            axes.plot([x], [value], mark, color=colour, markersize=5, label=label)
            axes.annotate(str(k + 1), (x, value), xytext=(5, 3), textcoords="offset points", fontsize=8)
        axes.set_xlabel(cost.heading)
        axes.margins(x=0.12)  # before the limit, which ends the automatic ones
        axes.set_xlim(left=0)
        axes.grid(color="#eeeeee", linewidth=0.6)
    for axes in drawn[len(apart) :]:
        axes.set_visible(False)
    drawn[0].set_ylabel("mIoU, % (95 % interval)")
    figure.legend(loc="outside lower center", ncols=2 if len(rows) > 4 else 1, frameon=False, fontsize=8)
    return figure

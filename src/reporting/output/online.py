"""A comparison on Weights & Biases: the table and its figures as a run, and a saved view of the compared runs."""

import json
import math
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from omegaconf import DictConfig

from src.core.files.whole import replacing
from src.reporting.comparison import Comparison
from src.reporting.statistics.ratios import TRIMAPS, WHOLE
from src.runs.folder import RunFolder
from src.runs.wandb_run import dashboard_run, log_comparison, mode_of

_SHOWN = ("miou", "pixel_accuracy", *TRIMAPS)


def publish(table: Comparison, figures: dict[str, Figure], folder: Path, config: DictConfig) -> None:
    """Log a written report, and make a view of its runs: on W&B if there is a key, else as a file."""
    pictures = []
    for name, figure in figures.items():
        pictures.append(folder / f"{name}.png")
        with replacing(pictures[-1]) as temporary:
            figure.savefig(temporary, format="png", dpi=150)
    with dashboard_run(config, RunFolder(folder), group=table.name) as run:
        log_comparison(run, *_values(table), folder, pictures)
        entity = run.entity
    view = view_of(table)
    with replacing(folder / "workspace.json") as temporary:
        temporary.write_text(json.dumps(view, indent=2) + "\n", encoding="utf-8")
    if mode_of(config) == "online":
        _save(view, config, entity)
    else:
        print(f"W&B: offline, so the view is only described, in {folder / 'workspace.json'}. Once you have a key, type")
        print(f"wandb sync runs/*/wandb/offline-* {folder}/wandb/offline-*, then make the report again.")


def _values(table: Comparison) -> tuple[list[str | int], list[list[Any]]]:
    columns: list[str | int] = [
        "row",
        "seeds",
        *_SHOWN,
        "miou_low",
        "miou_high",
        "difference",
        "difference_low",
        "difference_high",
    ]
    rows: list[list[Any]] = []
    for row in table.rows:
        found = row.estimate
        numbers = [math.nan] * (len(_SHOWN) + 2) if found is None else [
            *(float(found.value[WHOLE.index(name)]) for name in _SHOWN), float(found.low[0]), float(found.high[0]),
        ]  # fmt: skip
        change = row.difference
        numbers += [math.nan] * 3 if change is None else [float(x[0]) for x in (change.value, change.low, change.high)]
        rows.append([table.label(row), len(row.done), *numbers, row.p, row.verdict])
    return [*columns, "p_corrected", "verdict"], rows


def view_of(table: Comparison) -> dict[str, Any]:
    """A W&B workspace as plain values: sections of panels; a panel has a kind, a title and its metrics."""
    variants = list(dict.fromkeys(row.variant for row in table.rows))
    scores = [f"test/miou/{variant}" for variant in variants]
    return {
        "name": table.name,
        "group": table.name,
        "sections": [
            {
                "name": "Training",
                "panels": [
                    {"kind": "line", "title": "training loss", "metrics": ["train/loss"]},
                    {"kind": "line", "title": "validation mIoU", "metrics": ["val/miou"]},
                ],
            },
            {"name": "Scores", "panels": [{"kind": "bar", "title": "mIoU of every variant", "metrics": scores}]},
        ],
    }


def _save(view: dict[str, Any], config: DictConfig, entity: str) -> None:
    """Save the view as a workspace of the project, or print what is missing for that."""
    try:
        import wandb_workspaces.reports.v2 as panels
        import wandb_workspaces.workspaces as workspaces
    except ImportError:
        print("W&B: to save a workspace of these runs, type: pip install 'wandb-workspaces'", file=sys.stderr)
        return
    print(f"W&B: saved view {_workspace(view, config, entity, workspaces, panels).save().url}")


def _workspace(view: dict[str, Any], config: DictConfig, entity: str, workspaces: Any, panels: Any) -> Any:
    """The view as an object of wandb-workspaces."""
    kinds = {
        "line": lambda panel: panels.LinePlot(title=panel["title"], x="epoch", y=panel["metrics"]),
        "bar": lambda panel: panels.BarPlot(title=panel["title"], metrics=panel["metrics"]),
    }
    sections = [
        workspaces.Section(
            name=section["name"], is_open=True, panels=[kinds[panel["kind"]](panel) for panel in section["panels"]]
        )
        for section in view["sections"]
    ]
    return workspaces.Workspace(entity=entity, project=config.logger.project, name=view["name"], sections=sections)

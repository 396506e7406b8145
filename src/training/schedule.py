"""The learning rate of a training that goes on with another recipe than it began with."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from torch.optim.lr_scheduler import ReduceLROnPlateau

if TYPE_CHECKING:
    from src.training.task import SegmentationTask


def follow_recipe(task: SegmentationTask, before: Any) -> None:
    """Give optimiser and scheduler of a resumed training the rates and options of its own config.

    Resuming has filled them with those of the checkpoint. Moments and counts stay. A schedule over steps goes on where
    it would be if the training had had it from the start. A plateau scheduler goes on with its counts, and the new rate
    is lowered as often as the old one was.

    Args:
        task: in a Trainer that has restored the checkpoint.
        before: the recipe of the checkpoint.
    """
    optimizer: Any = task.optimizers(use_pl_optimizer=False)
    scheduler: Any = task.lr_schedulers()
    fresh, schedule = task.make_optimizer()
    both = isinstance(schedule, ReduceLROnPlateau) and (before.scheduler or {}).get("name") == "ReduceLROnPlateau"
    lowered = [
        _lowered(group["lr"], number, before) if both else 1.0 for number, group in enumerate(optimizer.param_groups)
    ]
    if isinstance(schedule, ReduceLROnPlateau):
        kept = {key: getattr(scheduler, key) for key in _COUNTS} if both else {}
        _take(scheduler, {**schedule.state_dict(), **kept})
    elif schedule is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the fresh optimiser makes no steps
            for _ in range(task.current_epoch * task.steps_per_epoch()):
                schedule.step()
        _take(scheduler, schedule.state_dict())
    for group, new, share in zip(optimizer.param_groups, fresh.param_groups, lowered, strict=True):
        group.update({key: value for key, value in new.items() if key != "params"} | {"lr": new["lr"] * share})


_COUNTS = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


def _take(scheduler: Any, state: dict[str, Any]) -> None:
    """Replace a scheduler's whole state; what only the checkpoint's kind of scheduler had goes."""
    kept = {"optimizer": scheduler.optimizer}
    vars(scheduler).clear()
    vars(scheduler).update(kept)
    scheduler.load_state_dict(state)


def _lowered(rate: float, group: int, before: Any) -> float:
    """The factor by which a plateau scheduler has lowered the rate of a parameter group."""
    factor = before.new_layers_lr_factor if group == 1 else 1
    return float(rate / (before.optimizer.lr * factor))

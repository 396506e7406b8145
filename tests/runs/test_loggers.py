import csv

import pytest

from src.core.errors import InputError
from src.runs.loggers import MetricsFile


def rows(path):
    return [(row["epoch"], row["train/loss"]) for row in csv.DictReader(path.read_text().splitlines())]


def test_a_resumed_run_keeps_the_earlier_epochs_and_replaces_those_it_repeats(tmp_path):
    path = tmp_path / "metrics.csv"
    first = MetricsFile(path)
    for epoch in range(3):
        first.log_metrics({"epoch": epoch, "train/loss": epoch}, step=epoch)
    first.save()
    second = MetricsFile(path)
    second.log_metrics({"epoch": 2, "train/loss": 20}, step=2)
    second.save()
    assert rows(path) == [("0", "0.0"), ("1", "1.0"), ("2", "20.0")]


def test_metrics_of_one_epoch_share_a_row_and_test_metrics_have_none(tmp_path):
    file = MetricsFile(tmp_path / "metrics.csv")
    file.log_metrics({"epoch": 0, "train/loss": 1.0})
    file.log_metrics({"epoch": 0, "val/miou": 0.5})
    file.log_metrics({"epoch": 1, "test/miou/none": 0.5})
    assert file.rows == {0: {"epoch": "0", "train/loss": "1.0", "val/miou": "0.5", "step": "None"}}


def test_another_file_of_that_name_is_not_touched(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="not a metrics file"):
        MetricsFile(path)

import json
from pathlib import Path

from omegaconf import OmegaConf

from src.reporting.collect import of_folders
from src.reporting.comparison import compare
from src.reporting.output import costs, formats, publish
from src.reporting.output.figures.costs import over_costs
from src.reporting.request import Question, of_runs
from tests.reporting.conftest import make_run


def add_costs(folder, *, parameters=2e6, ms=20.0, minutes=3.0, device="card", jobs=1):
    content = json.loads(folder.results.read_text())
    content["costs"] = {
        "parameters": int(parameters),
        "multiply_adds": 10**9,
        "crop": 65,
        "seconds": dict.fromkeys(content["variants"], ms / 1000),
        "jobs": jobs,
    }
    content["training"] = {"steps": 1, "of": 1, "stopped": None, "seconds": 60 * minutes, "memory": 10**9}
    content["machine"] = {"device": device, "precision": "32-true", "processes": 1, "threads": 1}
    folder.results.write_text(json.dumps(content))


def made(tmp_path, **second):
    for loss, changes in (("dice", {}), ("focal", second)):
        for seed, factor in ((1, 1.0), (2, 1.04)):
            folder = make_run(tmp_path / f"{loss}{seed}", loss=loss, seed=seed)
            add_costs(
                folder, **{"ms": factor * changes.get("ms", 20.0), **{k: v for k, v in changes.items() if k != "ms"}}
            )
    cells = of_folders([tmp_path])
    return compare(cells, name="losses", question="Which?", baseline="dice", resamples=100)


def columns(table):
    return [formats.HEADINGS[k] for k in formats.shown(table)]


def test_costs_that_differ_are_columns_and_the_others_a_sentence(tmp_path):
    table = made(tmp_path, parameters=4e6, ms=30.0)
    assert columns(table)[-2:] == ["parameters, M", "ms per image"]
    assert [formats.columns(table, row)[-5:] for row in table.rows] == [
        ["2.00", "1.00", "20.4", "1.00", "3.00"],
        ["4.00", "1.00", "30.6", "1.00", "3.00"],
    ]
    first, second = costs.sentences(table)
    assert first == (
        "Every row: 1.00 G multiply-adds for an image of the training crop's size, about 1.00 GB of memory in "
        "training, about 3.00 minutes of training."
    )
    assert second == "Times of an image are of one image alone. Measured on: card, 32-true, 1 thread."
    assert over_costs(table) is not None


def test_times_that_are_nearly_equal_are_no_column(tmp_path):
    table = made(tmp_path, ms=21.0)
    assert columns(table)[-1] == "boundary IoU" and over_costs(table) is None
    assert "about 20.9 ms per image" in costs.sentences(table)[0]


def test_two_machines_are_never_in_one_column(tmp_path):
    table = made(tmp_path, parameters=4e6, ms=90.0, device="other card")
    assert columns(table)[-1] == "parameters, M"
    assert "Times and memory are left out, as the rows ran on different machines: card" in costs.sentences(table)[1]
    assert "seconds_per_image" not in formats.csv_text(table) and "parameters" in formats.csv_text(table)


def test_trainings_that_shared_a_machine_have_no_times(tmp_path):
    table = made(tmp_path, parameters=4e6, ms=90.0, jobs=8)
    assert columns(table)[-1] == "parameters, M"
    assert costs.sentences(table)[1].startswith(
        "Times are left out, as 8 trainings shared the machine. Measured on: card"
    )
    assert "seconds" not in formats.csv_text(table) and "memory" in formats.csv_text(table)


def test_the_csv_has_costs_in_plain_units(tmp_path):
    lines = formats.csv_text(made(tmp_path, ms=30.0)).splitlines()
    assert "focal,focal,none,seconds_per_image,2,0.0306,,,,,,,,," in lines
    assert "dice,dice,none,training_seconds,2,180,,,,,,,,," in lines


def test_copied_runs_make_the_same_table(tmp_path):
    table = made(tmp_path / "runs", parameters=4e6)
    publish.copy_runs(Question("losses", "Which?", "dice", table.cells, []), tmp_path / "kept")
    nothing = OmegaConf.create(dict.fromkeys(("title", "question", "baseline", "names")))
    again = of_runs([tmp_path / "kept"], nothing).compare(100)
    assert formats.markdown(again) == formats.markdown(table)
    kept = {str(path.relative_to(tmp_path / "kept")) for path in Path(tmp_path / "kept").rglob("*") if path.is_file()}
    names = ("config.yaml", "results.json", "confusion.npz", "trimap.npz", "boundary.npz", "metrics.csv")
    assert kept == {
        "table.yaml",
        *(f"{loss}{seed}/{name}" for loss in ("dice", "focal") for seed in (1, 2) for name in names),
    }

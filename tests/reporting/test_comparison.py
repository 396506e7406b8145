import json

import numpy as np
import pytest
from omegaconf import OmegaConf

from src.core.errors import InputError
from src.reporting.collect import of_folders
from src.reporting.comparison import compare
from src.reporting.counts import read_counts
from src.reporting.output import formats, page
from src.reporting.output.figures import plots
from src.reporting.rows import rows_of
from src.runs.folder import RunFolder
from src.scoring.metrics import scores_of, trimap_miou
from tests.reporting.conftest import make_run, table_of


def test_seeds_are_one_row_named_by_what_differs(runs):
    table = table_of(runs)
    assert [(table.label(row), len(row.done)) for row in table.rows] == [("dice", 3), ("focal", 3)]
    assert [row.verdict for row in table.rows] == ["", "worse"]  # against dice, the first
    assert table.facts["images"] == "40" and not table.notes


def test_a_training_that_was_cut_short_is_named(runs):
    for name, stopped in (("focal2", "trainer.max_time=00:01:00:00"), ("dice1", "recipe.early_stopping=5")):
        ending = {"training": {"steps": 30, "of": 90, "stopped": stopped}}
        RunFolder(runs / name).write_ending({**ending, "monitor": {"key": "val/miou", "value": 0.5, "epoch": 2}})
    (note,) = [note for note in table_of(runs).notes if "stopped" in note]
    assert note == "focal2 was stopped after 30 of 90 steps by trainer.max_time=00:01:00:00."


def test_scores_are_those_of_the_runs(runs):
    table = table_of(runs)
    for row in table.rows:
        found = [read_counts(cell.scored) for cell in row.done]
        miou = np.mean([scores_of(one.margins["none"].sum(0)).miou for one in found])
        near = np.mean([trimap_miou(one.trimaps["none"])[3] for one in found])
        assert row.estimate.value[0] == pytest.approx(miou, abs=1e-6)
        assert row.estimate.value[table.scores.index("trimap_miou_3px")] == pytest.approx(near, abs=1e-6)
        assert row.estimate.value[table.scores.index("iou/background")] == pytest.approx(
            np.mean([scores_of(one.margins["none"].sum(0)).iou[0] for one in found]), abs=1e-6
        )
        assert row.estimate.low[0] < row.estimate.value[0] < row.estimate.high[0]


def test_mean_accuracy_and_frequency_weighted_iou_by_hand(runs):
    table = table_of(runs)
    for row in table.rows:
        wanted = []
        for cell in row.done:
            hit, true, predicted = read_counts(cell.scored).margins["none"].sum(0)
            there = true > 0
            iou = hit[there] / (true + predicted - hit)[there]
            wanted.append([(hit / np.maximum(true, 1))[there].mean(), (true[there] * iou).sum() / true.sum()])
        places = [table.scores.index(name) for name in ("mean_accuracy", "frequency_weighted_iou")]
        assert row.estimate.value[places] == pytest.approx(np.mean(wanted, 0), abs=1e-6)
        assert (row.estimate.low[places] < row.estimate.value[places]).all()
    lines = [line.split(",") for line in formats.csv_text(table).splitlines()]
    assert [line[0] for line in lines if line[3] == "frequency_weighted_iou"] == ["dice", "focal"]


def test_the_baseline_is_chosen_by_name(runs):
    table = table_of(runs, baseline="focal")
    assert table.label(table.baseline) == "focal"
    assert [row.verdict for row in table.rows] == ["better", ""]
    with pytest.raises(InputError, match=r"baseline=dise: no row has this name; use one of 'dice', 'focal', 'none'"):
        table_of(runs, baseline="dise")


def test_a_variant_as_baseline_is_that_of_the_same_network(tmp_path):
    for loss, quality in (("focal", 0.6), ("dice", 0.9)):
        make_run(tmp_path / loss, loss=loss, variants={"none": quality, "crf": quality + 0.02})
    table = table_of(tmp_path, baseline="none")
    labels = {table.label(row): row for row in table.rows}
    assert set(labels) == {"dice / none", "dice / crf", "focal / none", "focal / crf"}
    assert labels["focal / none"].difference is None
    assert labels["focal / crf"].difference.value[0] == pytest.approx(0.02, abs=0.02)  # not 0.3 below dice


def test_missing_and_failed_runs_stay_in_the_table(runs):
    broken = RunFolder(runs / "focal2")
    broken.results.unlink()
    broken.failure.write_text("no memory\n")
    table = table_of(runs)
    assert [len(row.done) for row in table.rows] == [3, 2]
    (cell,) = [cell for cell in table.cells if not cell.is_done]
    assert (cell.standing, cell.reason) == ("failed", "no memory")
    assert any("1 of 6 runs have no scores" in note for note in table.notes)


def test_rows_of_other_images_are_listed_with_the_reason(runs):
    make_run(runs / "other", loss="combined", images=30)
    table = table_of(runs)
    (row,) = [row for row in table.rows if row.network == "combined"]
    assert row.estimate is not None and row.difference is None and row.verdict == "not comparable"
    why = "it was scored on 30 of the baseline's 40 images (10 are missing)"
    assert row.why == why and f"combined: not comparable with the baseline, because {why}." in table.notes
    assert "combined is not comparable with dice." in formats.summary(table)
    assert why in page.render(table, [], plots.all_of(table)).replace("&#39;", "'") and why in formats.markdown(table)


def test_seeds_scored_on_other_images_get_a_row_of_their_own(runs):
    make_run(runs / "focal4", loss="focal", seed=4, images=50)
    table = table_of(runs)
    found = {table.label(row): (len(row.done), row.verdict) for row in table.rows}
    assert found == {"dice": (3, ""), "focal": (3, "worse"), "focal, other images": (1, "not comparable")}
    assert any("10 of its 50 images were not scored with the baseline" in note for note in table.notes)


def test_equal_runs_under_two_names_are_an_error(tmp_path):
    for name in ("a", "b"):
        make_run(tmp_path / name)
    with pytest.raises(InputError, match=r"a and .*b have the same config, variant 'none' and seed 1"):
        table_of(tmp_path)


def test_two_scores_of_one_training_that_differ_are_named(tmp_path):
    folder = make_run(tmp_path / "a", variants={"none": 0.8})
    make_run(folder.path / "evaluations" / "later", variants={"none": 0.81, "crf": 0.82})
    table = table_of(folder.path, folder.path / "evaluations" / "later")
    assert [(row.variant, len(row.cells)) for row in table.rows] == [("none", 1), ("crf", 1)]
    assert [note for note in table.notes if "a and " in note and "are scores of one training" in note]


@pytest.mark.parametrize(
    ("images", "resamples", "why"),
    [
        (3, 500, "Only 3 images: no verdict is possible. A difference on every image has p = 0.25."),
        (40, 100, "resamples=100: so few swaps know a p near 0.05 only to ± 0.043"),
        (6, 100, ""),  # all 32 ways are tried
        (40, 500, ""),
    ],
)
def test_what_cannot_be_decided_is_told_before_the_long_work(tmp_path, images, resamples, why):
    for loss in ("dice", "focal"):
        make_run(tmp_path / loss, loss=loss, images=images)
    told = []
    options = {"name": "t", "question": "q", "baseline": None, "resamples": resamples}
    table = compare(of_folders([tmp_path]), **options, tell=told.append)
    assert [line[: len(why)] for line in told] == [why] * bool(why) and set(told) <= set(table.notes)


def test_runs_without_counts_near_boundaries_are_read(runs):
    for name, heading, score in (
        ("trimap.npz", "3 px", "trimap_miou_3px"),
        ("boundary.npz", "boundary IoU", "boundary_iou"),
    ):
        assert f"| {heading} |" in formats.markdown(table_of(runs))
        for path in runs.glob(f"*/{name}"):
            path.unlink()
        table = table_of(runs)
        assert np.isnan(table.rows[0].estimate.value[table.scores.index(score)])
        assert f"| {heading} |" not in formats.markdown(table)


def test_folders_that_hold_no_run_are_named(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        of_folders([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="holds no run"):
        of_folders([tmp_path])


def test_equal_networks_with_another_option_are_told_apart(tmp_path):
    for gamma in (1, 2):
        folder = make_run(tmp_path / str(gamma))
        config = OmegaConf.load(folder.config)
        config.loss.gamma = gamma
        folder.write_config(config)
    assert [row.network for row in table_of(tmp_path).rows] == ["gamma 1", "gamma 2"]
    assert json.loads((tmp_path / "1" / "results.json").read_text())


def test_runs_scored_with_different_variants_share_the_rows_they_have(tmp_path):
    make_run(tmp_path / "a", variants={"none": 0.8})
    make_run(tmp_path / "b", variants={"none": 0.8, "crf": 0.82})  # the same network and seed, scored again
    make_run(tmp_path / "c", seed=2, variants={"none": 0.8})
    rows = {row.variant: row for row in table_of(tmp_path).rows}
    assert [cell.run.path.name for cell in rows["none"].cells] == ["a", "c"]  # a seed counts once
    assert [cell.run.path.name for cell in rows["crf"].cells] == ["b"]


def test_nothing_scored_is_a_table_of_missing_rows(runs):
    for path in runs.glob("*/results.json"):
        path.unlink()
    table = table_of(runs)
    assert [row.estimate for row in table.rows] == [None, None]
    assert formats.summary(table) == ["Nothing is scored yet."] and "missing" in formats.markdown(table)
    page.render(table, [], plots.all_of(table))


def test_one_image_is_enough_for_a_table(tmp_path):
    make_run(tmp_path / "a", images=1)
    make_run(tmp_path / "b", loss="dice", images=1)
    table = table_of(tmp_path)
    assert "not separable" in formats.markdown(table)
    page.render(table, [], plots.all_of(table))


def test_labels_are_text_in_the_page(tmp_path):
    make_run(tmp_path / "a", loss="<script>alert(1)</script>")
    make_run(tmp_path / "b", loss="dice & co")
    text = page.render(table_of(tmp_path), ["echo <b>"], plots.all_of(table_of(tmp_path)))
    assert "<script>alert" not in text and "echo &lt;b&gt;" in text


def in_groups(folder, copies):
    """Make each image of a run a group of so many equal images, with ids such as image3_b."""
    config = OmegaConf.load(folder.config)
    config.data.group = r"(image\d+)_.*"
    folder.write_config(config)
    ids = [f"image{k}_{letter}" for k in range(40) for letter in "abcdefgh"[:copies]]
    for path in folder.counts:
        found = {name: np.repeat(array, copies, axis=0) for name, array in np.load(path).items()}
        np.savez(path, **(found | {"ids": np.array(ids)}))
    folder.results.write_text(json.dumps({**json.loads(folder.results.read_text()), "images": len(ids)}))


def test_groups_of_equal_images_count_as_one_image_each(runs):
    plain = table_of(runs)
    for path in runs.iterdir():
        in_groups(RunFolder(path), 3)
    grouped = table_of(runs)
    for one, other in zip(plain.rows, grouped.rows, strict=True):
        assert one.verdict == other.verdict
        for key in ("value", "low", "high"):
            assert getattr(one.estimate, key) == pytest.approx(getattr(other.estimate, key), abs=1e-6, nan_ok=True)
    for key in ("value", "low", "high", "p", "corrected"):
        both = (getattr(table.rows[1].difference, key) for table in (plain, grouped))
        np.testing.assert_allclose(*both, atol=1e-6)
    assert "The 120 images are of 40 groups (data.group)." in " ".join(grouped.notes)
    assert "swaps of groups of images" in formats.caption(grouped) and "swaps of images" in formats.caption(plain)


def test_a_group_that_does_not_fit_is_one_sentence(runs):
    for expression, why in (("(patient.*)", "does not fit the id image0"), ("(", "is no regular expression")):
        for path in runs.iterdir():
            config = OmegaConf.load(path / "config.yaml")
            config.data.group = expression
            RunFolder(path).write_config(config)
        with pytest.raises(InputError, match=why):
            table_of(runs)


def test_few_images_for_the_classes_give_no_interval_and_the_reason(tmp_path):
    for name, quality in (("a", 0.8), ("b", 0.7)):
        make_run(tmp_path / name, loss=name, images=23, variants={"none": quality})  # 6 classes occur
    table = table_of(tmp_path)
    assert all(np.isnan(row.estimate.low[0]) and np.isfinite(row.estimate.low[1]) for row in table.rows)
    (note,) = [note for note in table.notes if note.startswith("No interval")]
    assert note == "No interval for the mIoU of single rows: 23 images are fewer than 4 for each of 6 classes."


def test_rows_are_found_without_counts(runs):
    rows, said = rows_of(of_folders([runs]), {})
    assert [(row.network, len(row.done)) for row in rows] == [("dice", 3), ("focal", 3)] and not said
    twice, _ = rows_of([*of_folders([runs]), *of_folders([runs])], {})
    assert [(row.network, len(row.done)) for row in twice] == [("dice", 3), ("focal", 3)]

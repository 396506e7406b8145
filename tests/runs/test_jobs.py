"""Jobs of sweeps and tables, without running any."""

import pytest
from hydra.errors import HydraException

from src.core.compose import TABLES
from src.core.files.whole import write_json
from src.runs.folder import RunFolder
from src.runs.jobs import expand
from src.runs.state import run_folder
from src.training.sweeps.launcher import _typed
from src.training.sweeps.sweep import _because, _devices
from tests.conftest import RESULTS

SMALL = ["data=shapes", "backbone.weights=none", "recipe=demo"]


@pytest.mark.parametrize("name", [path.stem for path in TABLES.glob("*.yaml")])
def test_every_table_makes_jobs_that_could_run(name):
    jobs = expand([f"table={name}", *SMALL])
    assert {job.config.seed for job in jobs} == {1, 2, 3}
    assert all(job.problem is None and job.config.table.name == name for job in jobs)
    assert len({job.folder.path for job in jobs}) == len(jobs)


def test_the_command_line_overrides_a_tables_axes():
    jobs = expand(["table=losses", *SMALL, "seed=7", "loss=focal,dice"])
    assert [job.label for job in jobs] == ["loss=focal", "loss=dice"]
    assert {job.config.seed for job in jobs} == {7}


def test_sweeps_without_a_table():
    jobs = expand([*SMALL, "seed=1,2", "recipe.batch_size=4,8"])
    assert [job.label for job in jobs][:2] == ["seed=1 recipe.batch_size=4", "seed=1 recipe.batch_size=8"]


def test_a_job_that_cannot_run_says_why_and_the_others_can():
    good, bad = expand([*SMALL, "seed=1", "recipe.batch_size=4,1"])
    assert good.standing() == ("new", "")
    standing, reason = bad.standing()
    assert standing == "invalid" and "from 2" in reason


def test_options_that_make_no_config_are_an_error():
    with pytest.raises(HydraException, match="epoch"):
        expand([*SMALL, "recipe.epoch=3"])


def test_tables_share_the_networks_they_have_in_common(tmp_path):
    words = [*SMALL, "seed=1", f"runs={tmp_path}"]
    (first,), (second,) = expand(["table=losses", "loss=cross_entropy", *words]), expand(["table=crf_fusion", *words])
    assert first.folder == second.folder
    folder = first.folder
    folder.create()
    folder.write_config(first.config)
    folder.last.touch()
    assert first.standing() == second.standing() == ("unfinished", "")
    write_json(folder.results, RESULTS)
    assert first.standing() == ("done", "") and second.standing() == ("trained", "")
    assert second.scored.path.parent == folder.path / "evaluations"
    second.scored.create()
    write_json(second.scored.results, RESULTS)
    assert second.standing() == ("done", "")


def test_failed_and_running_jobs_are_known_from_their_folder(tmp_path):
    (job,) = expand([*SMALL, "seed=1", f"runs={tmp_path}"])
    with pytest.raises(MemoryError), job.folder.attempt(first=True):
        assert job.standing() == ("running", "")
        raise MemoryError("no room")
    assert job.standing() == ("failed", "MemoryError: no room")
    with job.folder.attempt(first=True):
        assert not job.folder.failure.exists()
    assert job.standing() == ("new", "")


def test_the_report_command_repeats_what_was_typed():
    words = ["table=losses", *SMALL, "seed=1,2"]
    jobs = expand(words)
    from omegaconf import OmegaConf

    params = {"loss": "cross_entropy,focal,combined,dice", "seed": "1,2,3"}
    typed = _typed(jobs, OmegaConf.create({"hydra": {"sweeper": {"params": params}}}))
    assert sorted(typed) == sorted(words)


def test_jobs_share_out_the_devices_if_there_are_several(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert _devices() == ["2", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert _devices() == []
    assert "memory" in _because(-9) and _because(1) == "."


def test_the_name_of_a_folder_does_not_depend_on_circumstances(tmp_path):
    one, two = (
        run_folder(expand([*SMALL, "seed=1", *extra])[0].config)
        for extra in ([], ["jobs=3", "logger=wandb", "panels=0", "variants=none", "keep_logits=true"])
    )
    assert one == two and isinstance(one, RunFolder)

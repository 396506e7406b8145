import numpy as np
import pytest
from omegaconf import OmegaConf

from src.errors import InputError
from src.runs import RunFolder, identity, is_done, replacing, resume_path


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_results_are_the_sign_that_a_run_is_done(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(InputError, match="not finished"):
        folder.read_results()
    matrices = {"none": np.arange(8).reshape(2, 2, 2)}
    folder.write_results({"miou": 0.5}, ["a", "b"], matrices)
    stored = np.load(folder.confusion)
    assert folder.read_results() == {"miou": 0.5}
    assert stored["ids"].tolist() == ["a", "b"] and (stored["none"] == matrices["none"]).all()


def test_scores_that_are_no_numbers_are_not_written_as_broken_json(tmp_path):
    with pytest.raises(ValueError):
        RunFolder(tmp_path).write_results({"miou": float("nan")}, [], {})
    assert not RunFolder(tmp_path).results.exists()


def config(**changes):
    base = {"data": {"name": "d", "root": "here"}, "seed": 0, "logger": "csv", "trainer": {}, "resume": None}
    return OmegaConf.create({**base, "overwrite": False, **changes})


def test_identity_knows_results_from_circumstances():
    assert identity(config()) == identity(config(logger="wandb", data={"name": "d", "root": "there"}))
    assert identity(config()) != identity(config(seed=1))


def test_an_unfinished_run_is_not_overwritten_unasked(tmp_path):
    folder = RunFolder(tmp_path)
    folder.last.touch()
    with pytest.raises(InputError, match=r"resume=last .* overwrite=true"):
        resume_path(config(), folder)
    assert resume_path(config(resume="last"), folder) == folder.last
    assert resume_path(config(overwrite=True), folder) is None and folder.last.exists()
    folder.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_another_config_is_neither_shown_nor_mixed(tmp_path):
    folder = RunFolder(tmp_path)
    assert not is_done(config(), folder)
    folder.write_config(config())
    assert not is_done(config(), folder)
    folder.results.touch()
    assert is_done(config(logger="wandb"), folder)
    with pytest.raises(InputError, match="another config"):
        is_done(config(seed=1), folder)
    assert not is_done(config(seed=1, overwrite=True), folder)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(InputError, match=r"last\.ckpt does not exist"):
        resume_path(config(resume="last"), RunFolder(tmp_path))


def test_an_unwritable_folder_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(InputError, match=r"file/run: cannot write .* runs=FOLDER"):
        RunFolder(blocked / "run").create()

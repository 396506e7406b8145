from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from omegaconf import OmegaConf

from src.core.errors import InputError
from src.core.files.whole import replacing, write_json
from src.runs.folder import RunFolder
from src.runs.state import identity, resume_path, state, training_identity


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
    row = {"miou": 0.5, "pixel_accuracy": 0.5}
    results = {"data": "d", "protocol": "voc", "images": 2, "variants": {"none": row}}
    folder.write_results(
        results,
        ["a", "b"],
        matrices.items(),
        *([("none", np.zeros(shape, np.int32))] for shape in ((2, 4, 2, 2), (2, 2, 2))),
    )
    stored = np.load(folder.confusion)
    assert folder.read_results() == results
    assert stored["ids"].tolist() == ["a", "b"] and (stored["none"] == matrices["none"]).all()


def test_scores_that_are_no_numbers_are_not_written_as_broken_json(tmp_path):
    with pytest.raises(ValueError):
        RunFolder(tmp_path).write_results({"miou": float("nan")}, [], [], [], [])
    assert not RunFolder(tmp_path).results.exists()


def config(**changes):
    prepare = {"url": "http://a", "md5": "1", "download": False}
    data = {"name": "d", "root": "here", "source": "voc", "prepare": prepare}
    base = {"data": data, "seed": 0, "logger": "csv", "trainer": {}, "resume": "auto"}
    return OmegaConf.create({**base, "overwrite": False, "crf": {"name": "c"}, "variants": {"none": {}}, **changes})


def test_identity_knows_results_from_circumstances():
    assert identity(config()) == identity(config(logger="wandb", data={**config().data, "root": "there"}))
    assert identity(config()) != identity(config(seed=1))


def test_neither_addresses_nor_where_a_plugin_lies_are_part_of_a_run_but_their_content_is():
    def asked(url="http://a", md5="1", plugins=None):
        prepare = {"url": url, "md5": md5, "download": True}
        return identity(config(data={"name": "d", "root": "here", "prepare": prepare}, plugins=plugins or {}))

    assert asked() == asked(url="http://b") != asked(md5="2")
    assert asked(plugins={"a.py": "77"}) == asked(plugins={"b/c.py": "77"}) != asked(plugins={"a.py": "78"})


def test_variants_are_no_part_of_a_training_but_images_they_were_tuned_on_are():
    other = config(variants={"none": {}, "crf": {"guidance": "raw"}})
    assert identity(other) != identity(config()) and training_identity(other) == training_identity(config())
    tuned = config(crf={"name": "c", "tuned": {"ids": ["a"]}})  # image a is then not validated on
    assert training_identity(tuned) != training_identity(config())


def test_how_many_images_an_engine_takes_is_no_part_of_a_run():
    def asked(**batch):
        preset = {"name": "c", **batch}
        return identity(config(crf=preset, variants={"none": None, "x": {"guidance": "raw", "crf": preset}}))

    assert asked() == asked(batch=None) == asked(batch=4)


def test_an_unfinished_run_goes_on_unless_it_is_to_be_overwritten(tmp_path):
    folder = RunFolder(tmp_path)
    assert resume_path(config(), folder) is None
    folder.last.touch()
    assert resume_path(config(), folder) == resume_path(config(resume="last"), folder) == folder.last
    assert resume_path(config(overwrite=True), folder) is None and folder.last.exists()
    folder.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_another_config_is_neither_shown_nor_mixed(tmp_path):
    folder = RunFolder(tmp_path)
    assert state(config(), folder) == "new"
    folder.write_config(config())
    assert state(config(), folder) == "new"
    folder.last.touch()
    assert state(config(), folder) == "unfinished"
    write_json(
        folder.results,
        {"data": "d", "protocol": "voc", "images": 1, "variants": {"none": {"miou": 0, "pixel_accuracy": 0}}},
    )
    assert state(config(logger="wandb"), folder) == "done"
    assert state(config(variants={"other": {}}), folder) == "trained"
    with pytest.raises(InputError, match="another config"):
        state(config(seed=1), folder)
    assert state(config(seed=1, overwrite=True), folder) == "new"


def test_one_process_at_a_time_works_in_a_folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert not folder.is_held()
    with folder.attempt(first=True):
        assert folder.is_held()
        with pytest.raises(InputError, match="another process is at work"), RunFolder(folder.path).attempt(first=True):
            pass
    assert not folder.is_held() and not folder.failure.exists()


def test_who_only_looks_whether_a_folder_is_held_keeps_nobody_out(tmp_path):
    folder = RunFolder(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(lambda: [folder.is_held() for _ in range(3000)])
        for _ in range(20):
            with folder.attempt(first=True):
                pass
        assert set(looking.result()) <= {True, False}


def test_a_folder_that_is_deleted_meanwhile_is_named(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(InputError, match=r"run/config\.yaml: cannot be written .*its folder has been deleted"):
        folder.write_config(config())


@pytest.mark.parametrize("name", [".lock", "evaluations", "logits", "panels"])
def test_links_inside_a_run_folder_are_not_followed(tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    (folder.path / name).symlink_to(victim)
    with pytest.raises(InputError, match="is a link"), folder.attempt(first=True):
        pass
    assert victim.read_text() == "precious"


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(InputError, match=r"last\.ckpt does not exist"):
        resume_path(config(resume="last"), RunFolder(tmp_path))


def test_an_unwritable_folder_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(InputError, match=r"file/run: cannot write .* runs=FOLDER"):
        RunFolder(blocked / "run").create()


def test_processes_make_a_folder_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: RunFolder(tmp_path / "run").create(), range(400)))

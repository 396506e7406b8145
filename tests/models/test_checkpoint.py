import copy
import os
import pickle

import pytest
import torch
from torch import nn

from src.core.errors import InputError
from src.models.checkpoint.content import load_checkpoint
from src.models.checkpoint.fitting import check_weights

GROUP = {"lr": 0.1, "params": [0, 1], "betas": (0.9, 0.99), "fused": True}
GOOD = {
    "seglab": {"config": {"seed": 0}, "classes": {"names": ["background", "cat"]}, "fingerprint": {"val": "abc"}},
    "state_dict": {"weight": torch.zeros(2, 3)},
    "epoch": 0,
    "global_step": 2,
    "optimizer_states": [{"state": {}, "param_groups": [GROUP]}],
    "lr_schedulers": [{}],
    "loops": {"fit_loop": {}},
    "callbacks": {},
    "pytorch-lightning_version": "2.6.0",
}


class Bomb:
    def __reduce__(self):
        return (print, ("code ran",))


def test_pickled_code_is_refused_and_not_run(tmp_path, capsys):
    path = tmp_path / "bomb.ckpt"
    torch.save({"seglab": Bomb()}, path)
    with pytest.raises(InputError, match=r"bomb\.ckpt holds pickled code"):
        load_checkpoint(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps({"a": 1})])
def test_what_is_no_checkpoint_is_named(tmp_path, content):
    path = tmp_path / "file.ckpt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"file\.ckpt is"):
        load_checkpoint(path)


def test_foreign_and_missing_checkpoints_are_named(tmp_path):
    path = tmp_path / "other.ckpt"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(InputError, match=r"other\.ckpt is a checkpoint of something else"):
        load_checkpoint(path)
    with pytest.raises(InputError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "missing.ckpt")


def edited(path, value):
    """The good content with another value at a dotted path; `...` takes the key away."""
    content = copy.deepcopy(GOOD)
    *outer, last = (int(part) if part.isdigit() else part for part in path.split("."))
    node = content
    for key in outer:
        node = node[key]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return content


def saved(folder, content):
    torch.save(content, folder / "x.ckpt")
    return folder / "x.ckpt"


@pytest.mark.parametrize("path", ["seglab.config", "seglab.classes", "state_dict", "epoch", "global_step"])
@pytest.mark.parametrize("value", [..., None, "text", -1, [1], {1: 2}], ids=str)
def test_what_scoring_reads_is_there_and_of_its_kind(path, value, tmp_path):
    if (path, value) == ("seglab.config", {1: 2}):
        pytest.skip("checked as a config")
    with pytest.raises(InputError, match=rf"x\.ckpt: was edited, .*{path}"):
        load_checkpoint(saved(tmp_path, edited(path, value)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((key, ...) for key in GOOD if key not in ("seglab", "state_dict", "epoch", "global_step")),
        ("seglab.fingerprint", ...),
        ("seglab.fingerprint.val", 5),
        ("optimizer_states", []),
        ("optimizer_states.0.state", 5),
        ("optimizer_states.0.param_groups", []),
        ("optimizer_states.0.param_groups.0.lr", ...),
        ("optimizer_states.0.param_groups.0.lr", -1.0),
        ("optimizer_states.0.param_groups.0.lr", float("nan")),
        ("optimizer_states.0.param_groups.0.betas", (0.9, float("inf"))),
        ("lr_schedulers", [5]),
        ("loops.fit_loop", ...),
        ("pytorch-lightning_version", "new"),
    ],
    ids=str,
)
def test_what_a_training_goes_on_from_is_there_and_of_its_kind(path, value, tmp_path):
    file = saved(tmp_path, edited(path, value))
    with pytest.raises(InputError, match=r"x\.ckpt: was edited") as error:
        load_checkpoint(file, training=True)
    assert path.split(".")[0] in str(error.value) and "\n" not in str(error.value)
    load_checkpoint(saved(tmp_path, GOOD), training=True)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_not_waited_for(make, tmp_path):
    make(tmp_path / "x.ckpt")
    with pytest.raises(InputError, match=r"x\.ckpt: is not a file but a (pipe|folder)"):
        load_checkpoint(tmp_path / "x.ckpt")


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickled_code_is_called_so_whatever_the_format(protocol, tmp_path):
    (tmp_path / "x.ckpt").write_bytes(pickle.dumps({"seglab": os.system}, protocol=protocol))
    with pytest.raises(InputError, match=r"holds pickled code \(posix\.system\), which is not run"):
        load_checkpoint(tmp_path / "x.ckpt")


NET = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: state.pop("0.bias"), r"1 missing \(0\.bias\)"),
        (lambda state: state.update(other=torch.zeros(1)), r"1 unexpected \(other\)"),
        (
            lambda state: state.update({"0.bias": torch.zeros(3)}),
            r"of another shape \(0\.bias \(3,\) instead of \(2,\)",
        ),
        (
            lambda state: state.update({"0.bias": torch.tensor([0.0, float("nan")])}),
            r"0\.bias holds numbers that are not",
        ),
        (lambda state: state.update({"1.running_var": torch.tensor([1.0, -1.0])}), r"1\.running_var holds negative"),
        (
            lambda state: state.update({"0.bias": torch.zeros(2, dtype=torch.long)}),
            r"0\.bias is of the type torch\.int64",
        ),
        (lambda state: state.update({"0.bias": torch.zeros(2, dtype=torch.cfloat)}), r"0\.bias is of the type"),
        (lambda state: state.update({"0.bias": torch.zeros(2).to_sparse()}), r"0\.bias is of the type"),
    ],
)
def test_weights_are_those_of_the_network_and_numbers(change, says, tmp_path):
    state = dict(NET.state_dict())
    check_weights(state, NET.state_dict(), tmp_path / "x.ckpt")
    change(state)
    with pytest.raises(InputError, match=rf"x\.ckpt: .*{says}"):
        check_weights(state, NET.state_dict(), tmp_path / "x.ckpt")

import pickle

import pytest
import torch

from src.core.errors import InputError
from src.models.checkpoint import load_checkpoint


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

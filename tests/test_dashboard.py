"""What W&B has when it is offline, read back from its own file."""

import struct

import pytest
from wandb.proto import wandb_internal_pb2

from tests.conftest import TINY
from tests.conftest import warm_run as run

BLOCK, HEADER = 32768, struct.Struct("<IHB")  # LevelDB's log format: CRC, length, kind of fragment


def records(path):
    """The protobuf records of an offline run's file."""
    data, position, parts = path.read_bytes(), 7, []  # after W&B's own seven bytes
    while position + HEADER.size <= len(data):
        if BLOCK - position % BLOCK < HEADER.size:
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = HEADER.unpack_from(data, position)
        position += HEADER.size
        parts.append(data[position : position + length])
        position += length
        if kind in (1, 4):  # whole, or the last fragment
            record = wandb_internal_pb2.Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


def contents(cwd):
    (path,) = cwd.glob("runs/*/wandb/offline-run-*/*.wandb")
    found = {"history": set(), "config": set(), "exit": None}
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "history":
            found["history"] |= {item.key or "/".join(item.nested_key) for item in record.history.item}
        elif kind == "run":
            found["config"] |= {item.key for item in record.run.config.update}
        elif kind == "exit":
            found["exit"] = record.exit.exit_code
    return found, path.parent


def test_an_offline_run_holds_config_curves_scores_and_panels(tmp_path):
    done = run("train", *TINY, "recipe.epochs=1", "loss=combined", "logger=wandb", cwd=tmp_path)
    found, folder = contents(tmp_path)
    assert "wandb sync" in done.stdout  # no key, so it stayed offline without asking
    assert found["exit"] == 0
    assert {"backbone", "loss", "recipe", "seed"} <= found["config"]
    assert {"train/loss", "train/loss/dice", "val/miou", "test/miou/crf_raw_fill"} <= found["history"]
    for media in ("iou_per_class", "confusion/none", "panels/shapes_000000"):  # stored with their paths below the key
        assert any(key.startswith(f"{media}/") for key in found["history"])
    for mask in ("truth", "none", "crf_raw", "crf_raw_fill", "crf_unscaled"):
        assert f"panels/shapes_000000/masks/{mask}/path" in found["history"]
    assert list(folder.rglob("*.mask.png"))


def test_a_failed_run_is_finished_as_failed(tmp_path):
    run("train", *TINY, "logger=wandb", "recipe.batch_size=64", cwd=tmp_path, status=1)
    found, _ = contents(tmp_path)
    assert found["exit"] == 1


@pytest.fixture(autouse=True)
def no_key(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))  # where netrc is looked for
    monkeypatch.delenv("WANDB_API_KEY", raising=False)

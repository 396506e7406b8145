"""What W&B has when it is offline, read back from its own file."""

import json
import socket
import struct
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from omegaconf import OmegaConf
from wandb.proto import wandb_internal_pb2

from src.reporting.output.online import _workspace, view_of
from tests.conftest import TINY
from tests.conftest import warm_run as run
from tests.reporting.conftest import make_run, table_of

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


def contents(cwd, where="runs/*"):
    (path,) = cwd.glob(f"{where}/wandb/offline-run-*/*.wandb")
    found = {"history": set(), "config": set(), "summary": set(), "artifacts": [], "exit": None}
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "history":
            found["history"] |= {item.key or "/".join(item.nested_key) for item in record.history.item}
        elif kind == "run":
            found["config"] |= {item.key for item in record.run.config.update}
            found |= {"group": record.run.run_group, "job": record.run.job_type, "tags": list(record.run.tags)}
        elif kind == "summary":
            found["summary"] |= {item.key or "/".join(item.nested_key) for item in record.summary.update}
        elif kind == "artifact":
            found["artifacts"].append((record.artifact.name, {e.path for e in record.artifact.manifest.contents}))
        elif kind == "exit":
            found["exit"] = record.exit.exit_code
    return found, path.parent


def test_an_offline_run_holds_config_curves_scores_and_panels(tmp_path):
    sweep = ["table=losses", "hydra.mode=RUN", "loss=combined", "seed=2", "variants=standard"]  # one job of a table
    done = run("train", *TINY, *sweep, "recipe.epochs=1", "logger=wandb", cwd=tmp_path)
    found, folder = contents(tmp_path)
    assert (found["group"], found["job"]) == ("losses", "train")
    assert {"loss=combined", "seed=2"} <= set(found["tags"])
    assert {"test/miou/none", "test/pixel_accuracy/crf_raw", "test/trimap_miou_3px/crf_raw_fill"} <= found["summary"]
    assert "wandb sync" in done.stdout  # no key, so it stayed offline without asking
    assert found["exit"] == 0
    assert {"backbone", "loss", "recipe", "seed"} <= found["config"]
    assert {"train/loss", "train/loss/dice", "val/miou", "test/miou/crf_raw_fill"} <= found["history"]
    for media in ("iou_per_class", "confusion/none", "panels/shapes_000000"):  # stored with their paths below the key
        assert any(key.startswith(f"{media}/") for key in found["history"])
    for mask in ("truth", "none", "crf_raw", "crf_raw_fill", "crf_normalized_unscaled"):
        assert f"panels/shapes_000000/masks/{mask}/path" in found["history"]
    assert list(folder.rglob("*.mask.png"))


def test_without_a_network_a_run_with_a_key_stays_offline_and_says_so(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        there = {"WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": f"http://127.0.0.1:{closed.getsockname()[1]}"}
        words = [*TINY, "recipe.epochs=0", "variants=none", "panels=0", "logger=wandb"]
        done = run("train", *words, cwd=tmp_path, **there)
    assert "cannot be reached, so this run stays offline" in done.stdout
    assert contents(tmp_path)[0]["exit"] == 0


def test_a_key_that_is_none_is_a_sentence(tmp_path):
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # answers 501 to everything
    Thread(target=server.serve_forever, daemon=True).start()
    there = {"WANDB_API_KEY": "kéy", "WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}"}
    done = run("train", *TINY, "recipe.epochs=0", "logger=wandb", cwd=tmp_path, status=1, **there)
    server.shutdown(), server.server_close()
    assert done.stderr.startswith("error: W&B: ") and "logger.mode=offline" in done.stderr


def test_a_failed_run_is_finished_as_failed(tmp_path):
    run("train", *TINY, "logger=wandb", "recipe.batch_size=64", cwd=tmp_path, status=1)
    found, _ = contents(tmp_path)
    assert found["exit"] == 1


@pytest.mark.slow
def test_a_report_is_a_run_with_table_figures_and_files(tmp_path):
    make_run(tmp_path / "runs" / "a", loss="focal")
    make_run(tmp_path / "runs" / "b", loss="dice")
    done = run("report", "runs=runs", "resamples=200", "output=report", "logger=wandb", cwd=tmp_path)
    found, _ = contents(tmp_path, "report")
    assert (found["group"], found["job"], found["exit"]) == ("runs", "report", 0)
    assert any(key.startswith("comparison/") for key in found["history"])
    assert any(key.startswith("figures/forest/") for key in found["history"])
    assert any(name == "report-report" and {"index.html", "table.csv"} <= files for name, files in found["artifacts"])
    view = json.loads((tmp_path / "report" / "workspace.json").read_text())
    assert [section["name"] for section in view["sections"]] == ["Training", "Scores"]
    assert "workspace.json" in done.stdout and "wandb sync" in done.stdout


def test_the_view_is_one_that_can_be_saved(runs_table):
    workspaces = pytest.importorskip("wandb_workspaces.workspaces")
    panels = pytest.importorskip("wandb_workspaces.reports.v2")
    config = OmegaConf.create({"logger": {"project": "seglab"}})
    found = _workspace(view_of(runs_table), config, "someone", workspaces, panels)
    assert [section.name for section in found.sections] == ["Training", "Scores"]
    assert found.sections[1].panels[0].metrics


@pytest.fixture
def runs_table(tmp_path):
    make_run(tmp_path / "runs" / "a")
    return table_of(tmp_path / "runs")


@pytest.fixture(autouse=True)
def no_key(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))  # where netrc is looked for
    monkeypatch.delenv("WANDB_API_KEY", raising=False)

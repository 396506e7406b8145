import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from src.core.names import CONF
from src.data.sources.voc import voc_folder
from src.evaluation.machine.hardware import Hardware
from src.evaluation.scoring.logits import read_resized
from src.runs.checks.commands import prepare

torch.set_num_threads(1)  # two test processes share the machine

ROOT = Path(__file__).parent.parent
CPU = Hardware("cpu", "32-true", channels_last=False, devices=1, nodes=1, workers=0, cores=1, cache=0)
SAMPLE = ROOT.parent / "shared" / "data"

# A network and a data set as small as they come, for runs of the real commands.
TINY = [
    *("data=shapes", "data.prepare.train=8", "data.prepare.val=3", "data.prepare.height=64", "data.prepare.width=64"),
    *(
        "backbone=resnet18",
        f"plugins={ROOT}/tests/tiny.py",
        "backbone.kind=tiny",
        "backbone.weights=none",
        "recipe=adam_plateau",
        "recipe.scheduler.patience=0",
    ),
    *("recipe.epochs=4", "recipe.batch_size=4", "recipe.augment.crop=48", "recipe.optimizer.lr=1e-3", "crf=deeplabv2"),
]

RESULTS = {"data": "shapes", "protocol": "voc", "images": 1, "variants": {"none": {"miou": 0, "pixel_accuracy": 0}}}


def environment():
    """Of every process of a test: equal threads, which equal digits need; a wide terminal; no account of W&B."""
    own = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "COLUMNS": "160", "OMP_NUM_THREADS": "1"}
    return {key: value for key, value in os.environ.items() if not key.startswith("WANDB")} | own


HANGS = 900  # seconds; not for slow machines, but for what would never end


def run(module, *arguments, cwd, status=0, timeout=HANGS, **variables):
    """Run a command of the project in a folder of its own, as a user would; with environment variables."""
    done = subprocess.run(
        [sys.executable, "-m", f"src.{module}", *arguments],
        cwd=cwd, env=environment() | variables, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done


@cache
def _warm_process(*kind):
    command = [sys.executable, "-m", "tests.warm", *kind]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(_stop, process)
    return process


def _stop(process):
    process.stdin.close()
    process.wait()
    process.stdout.close()


def warm_run(module, *arguments, cwd, status=0, deadly=None, torch=True, **variables):
    """The same in a fork of a process that has imported torch already: five seconds less.

    `torch=False`: in a process that cannot import torch, for what must be told before it is.

    `deadly`, a file, a number of lines, seconds, a signal: the command gets the signal so many seconds after the file
    has so many lines. `status=None`: the caller looks at it.
    """
    deadly = deadly and [str(deadly[0]), *deadly[1:], *(0, signal.SIGKILL)[len(deadly) - 2 :]]
    process = _warm_process(*([] if torch else ["light"]))
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, name)) for name in ("out", "err")]
        for file in files:
            Path(file).touch()  # the command may be killed before it makes them
        process.stdin.write(json.dumps([module, arguments, str(cwd), *files, variables, deadly]) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, "the warm process has died"
        texts = [Path(file).read_text() for file in files]
    done = subprocess.CompletedProcess([module, *arguments], int(answer), *texts)
    assert status is None or done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done


def config(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settled = compose("train", overrides=[*overrides])
    prepare(settled)
    return settled


@pytest.fixture
def sample():
    """The folder of real VOC2012 images, masks and logits."""
    if not SAMPLE.is_dir():
        pytest.skip(f"the real sample is not at {SAMPLE}")
    return SAMPLE


@pytest.fixture
def scenes(sample):
    """Per id of a val image what reads its probabilities (21, H, W) and its pixels (H, W, 3)."""
    folder = sample / "voc2012_sample"
    voc = voc_folder(folder / "VOCdevkit" / "VOC2012")

    def read(name):
        rgb, mask = voc.read_pair(name)
        return read_resized(folder / "logits_espnetv2", name, torch.from_numpy(mask), voc.classes.names).softmax(
            0
        ).numpy(), rgb

    return {name: (lambda name=name: read(name)) for name in voc.ids("val")}

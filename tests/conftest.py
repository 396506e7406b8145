import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)  # two test processes share the machine

ROOT = Path(__file__).parent.parent
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


def environment():
    """Of every process of a test: equal threads, which equal digits need; a wide terminal; no account of W&B."""
    own = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "COLUMNS": "160", "OMP_NUM_THREADS": "1"}
    return {key: value for key, value in os.environ.items() if not key.startswith("WANDB")} | own


def run(module, *arguments, cwd, status=0, timeout=150, **variables):
    """Run a command of the project in a folder of its own, as a user would; with environment variables."""
    done = subprocess.run(
        [sys.executable, "-m", f"src.{module}", *arguments],
        cwd=cwd, env=environment() | variables, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done


@cache
def _warm_process():
    command = [sys.executable, "-m", "tests.warm"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(_stop, process)
    return process


def _stop(process):
    process.stdin.close()
    process.wait()
    process.stdout.close()


def warm_run(module, *arguments, cwd, status=0, deadly=None):
    """The same in a fork of a process that has imported torch already: five seconds less.

    `deadly`, a file and a number of lines: the command is killed as soon as the file has so many.
    """
    process = _warm_process()
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, name)) for name in ("out", "err")]
        process.stdin.write(json.dumps([module, arguments, str(cwd), *files, deadly]) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, "the warm process has died"
        texts = [Path(file).read_text() for file in files]
    done = subprocess.CompletedProcess([module, *arguments], int(answer), *texts)
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture
def sample():
    """The folder of real VOC2012 images, masks and logits."""
    if not SAMPLE.is_dir():
        pytest.skip(f"the real sample is not at {SAMPLE}")
    return SAMPLE

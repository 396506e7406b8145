"""What ends a training says why, and how to go on."""

import subprocess
import sys
import weakref
from contextlib import nullcontext
from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from src.core import processes
from src.core.errors import InputError
from src.evaluation.machine.trainer import end_started
from src.runs.folder import RunFolder
from src.training.callbacks.averaging import AverageWeights
from src.training.callbacks.divergence import Divergence
from src.training.callbacks.storage import SharedFolder
from src.training.memory import memory_for

CPU = SimpleNamespace(device=torch.device("cpu"))


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_names_the_images(tmp_path, loss):
    guard = Divergence(RunFolder(tmp_path))
    strategy = SimpleNamespace(barrier=lambda: None)
    trainer = SimpleNamespace(current_epoch=3, is_global_zero=True, strategy=strategy)
    guard.on_train_batch_end(trainer, CPU, {"loss": torch.tensor(1.0)}, {"id": ["a", "b"]}, 6)
    with pytest.raises(InputError, match=r"step 7 in epoch 3 is not finite; images: c, d; no epoch is complete"):
        guard.on_train_batch_end(trainer, CPU, {"loss": torch.tensor(loss)}, {"id": ["c", "d"]}, 7)


def test_a_training_that_sees_no_label_ends_and_one_that_saw_some_goes_on(tmp_path, monkeypatch):
    guard = Divergence(RunFolder(tmp_path))
    strategy = SimpleNamespace(barrier=lambda: None)
    trainer = SimpleNamespace(current_epoch=0, is_global_zero=True, strategy=strategy)
    net = torch.nn.Linear(1, 1)
    with pytest.raises(InputError, match=r"end of epoch 0 is exactly 0: no labelled pixel was seen, or the weights"):
        for loss in (0.0, 0.0):
            guard.on_train_batch_end(trainer, CPU, {"loss": torch.tensor(loss)}, {"id": ["a"]}, 0)
        guard.on_train_epoch_end(trainer, net)
    assert "exactly 0" in (tmp_path / "failed.txt").read_text()
    with monkeypatch.context() as another:
        another.setattr(processes, "joined", lambda losses: losses + 1)  # of a process that saw a label
        guard.on_train_epoch_end(trainer, net)
    guard.on_train_batch_end(trainer, CPU, {"loss": torch.tensor(1e-30)}, {"id": ["b"]}, 2)
    guard.on_train_epoch_end(trainer, net)


def test_an_average_of_weights_lies_where_the_network_is():
    average, net = AverageWeights(0.9), pl.LightningModule()
    net.layer = torch.nn.Linear(1, 1)
    average.setup(None, net, "fit")  # on the host, as Lightning does
    average.on_fit_start(None, SimpleNamespace(device=torch.device("meta")))
    assert {weights.device.type for weights in average._average_model.parameters()} == {"meta"}


def test_processes_that_wait_in_vain_are_ended():
    launcher = _SubprocessScriptLauncher(None, 2, 1)
    launcher.procs = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])]
    (child,) = launcher.procs
    end_started(launcher)
    assert child.wait() == -9 and launcher.procs == []


def test_a_folder_that_only_the_first_process_sees_is_told(tmp_path):
    with pytest.raises(InputError, match="storage that they share"):
        SharedFolder(RunFolder(tmp_path), patience=0).on_fit_start(None, None)


class Greedy(torch.nn.Module):
    """A network that has memory for so many images."""

    def __init__(self, most):
        super().__init__()
        self.most = most
        self.layer = torch.nn.Conv2d(3, 4, 1)
        self.device = torch.device("cpu")
        precision, strategy = SimpleNamespace(train_step_context=nullcontext), SimpleNamespace(root_device=self.device)
        self.optimizer = torch.optim.Adam(self.parameters())
        self.trainer = SimpleNamespace(precision_plugin=precision, strategy=strategy, optimizers=[self.optimizer])
        self.alive = []  # weak references to what a step makes

    def forward(self, image):
        held = sum(len(made()) for made in self.alive if made() is not None)
        made = self.layer(image)
        self.alive.append(weakref.ref(made))
        if len(image) + held > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return made

    def loss(self, logits, target):
        return {"loss": torch.nn.functional.cross_entropy(logits, target)}


@pytest.mark.parametrize(
    ("most", "says"),
    [(8, r"16 images per .*; 8 fit: recipe.batch_size=8 .*recipe.accumulate=4"), (1, "smaller .*crop")],
)
def test_out_of_memory_says_how_many_fit(most, says):
    task = Greedy(most)
    task.loss(task(torch.zeros(1, 3, 8, 8)), torch.zeros(1, 8, 8, dtype=torch.int64))["loss"].backward()
    task.optimizer.step()
    with pytest.raises(InputError, match=says), memory_for(task, batch_size=16, crop=8, accumulate=2):
        training_step(task, torch.zeros(16, 3, 8, 8))
    assert not task.optimizer.state


def training_step(task, image):
    """A step that fails inside others, each of which holds a part of it, as Lightning's loops do."""
    features = task.layer(image)
    task.alive.append(weakref.ref(features))
    try:
        task(image)
    except RuntimeError as error:
        raise torch.OutOfMemoryError("CUDA out of memory.") from error


def test_where_no_step_can_be_tried_half_is_proposed():
    with pytest.raises(InputError, match="try half"), memory_for(Greedy(9), batch_size=16, crop=8, accumulate=1):
        raise RuntimeError("could not create a primitive")


def test_other_errors_are_left_alone():
    with pytest.raises(RuntimeError, match="shape"), memory_for(Greedy(9), batch_size=16, crop=8, accumulate=1):
        raise RuntimeError("shape mismatch")

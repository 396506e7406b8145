"""Training and validation on a CUDA device, with a card or without: one device everywhere, which never waits."""

from functools import partial

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.accelerators import CPUAccelerator, CUDAAccelerator
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.strategies import SingleDeviceStrategy
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from src.core.names import CONF
from src.models.batchnorm import freeze
from src.models.losses import Combined
from src.runs.folder import RunFolder
from src.training import recipe
from src.training.callbacks.divergence import Divergence
from src.training.callbacks.timing import EpochTimes
from tests import fake_cuda
from tests.conftest import CPU, TINY, config

LOSSES = {path.stem: OmegaConf.to_container(OmegaConf.load(path)) for path in (CONF / "loss").glob("*.yaml")}


class NoDevice(CPUAccelerator):
    def setup_device(self, device):
        pass


class WithoutCard(SingleDeviceStrategy):
    """Fake tensors cannot be moved in place, and without a driver they have no backward pass on a device."""

    def __init__(self):
        super().__init__(fake_cuda.DEVICE, accelerator=NoDevice())

    def model_to_device(self):
        pass

    def teardown(self):
        pass

    def backward(self, closure_loss, optimizer, *args, **kwargs):
        for parameter in self.lightning_module.parameters():
            parameter.grad = torch.empty_like(parameter) if parameter.requires_grad else None


class Marks(Callback):
    """How many reads from the device and copies to it there were at the first and at the last call of each hook."""

    def __init__(self, reads):
        self.first, self.last = {}, {}
        for hook in ("train_epoch_start", "validation_start", "validation_batch_start", "validation_batch_end"):
            setattr(self, f"on_{hook}", partial(self.mark, reads, hook))

    def mark(self, reads, hook, *_, **__):
        self.last[hook] = (len(reads.seen), len(reads.sent))
        self.first.setdefault(hook, self.last[hook])

    def between(self, first, last):
        return [after - before for before, after in zip(self.first[first], self.last[last], strict=True)]


class Images(pl.LightningDataModule):
    """Two batches of four crops, and two whole images."""

    def train_dataloader(self):
        return self.loader(4, 48)

    def val_dataloader(self):
        return self.loader(1, 64)

    def loader(self, count, side):
        rgb, mask = (torch.zeros(count, side, side, *last, dtype=torch.uint8) for last in ((3,), ()))
        return DataLoader([{"rgb": rgb, "mask": mask, "id": ["image"] * count}] * 2, batch_size=None)


@pytest.mark.filterwarnings("ignore")  # Lightning's tips, which the project's own trainer hides
@pytest.mark.parametrize("real", fake_cuda.KINDS)
def test_a_training_step_reads_nothing_and_a_validation_reads_its_counts_once(real, tmp_path):
    """All losses, fused Adam, clipping, frozen BatchNorm, autocast, with the callbacks that look at each step."""
    with fake_cuda.cuda(real=real) as reads:
        with torch.device(fake_cuda.DEVICE):
            task, _ = recipe.task(config(*TINY), CPU, fingerprint={})
            task.loss = Combined({name: {"weight": 1.0, "loss": loss} for name, loss in LOSSES.items()})
        kinds = []
        task.network.register_forward_hook(lambda module, given, logits: kinds.append(logits.dtype))
        pretrained = frozenset(name for name, _ in task.network.named_parameters() if name.startswith("backbone."))
        task.frozen = freeze(task.network, pretrained)
        marks, ended = Marks(reads), task.on_validation_epoch_end
        task.on_validation_epoch_end = lambda: (marks.mark(reads, "before"), ended(), marks.mark(reads, "after"))
        trainer = pl.Trainer(
            strategy=SingleDeviceStrategy(fake_cuda.DEVICE, accelerator=CUDAAccelerator()) if real else WithoutCard(),
            callbacks=[marks, Divergence(RunFolder(tmp_path)), RichProgressBar(), EpochTimes(images=4, exact=False)],
            **{"precision": "bf16-mixed", "gradient_clip_val": 1.0, "max_epochs": 1, "default_root_dir": tmp_path},
            **{"logger": False, "enable_checkpointing": False, "enable_model_summary": False},
            **{"num_sanity_val_steps": 0, "log_every_n_steps": 10**9},
        )
        trainer.fit(task, Images())
    assert task.frozen and task.optimizers().param_groups[0]["fused"] and trainer.global_step == 2
    assert kinds == [torch.bfloat16] * 4  # two steps, two images
    assert marks.between("train_epoch_start", "validation_start") == [0, 2]  # mean and std of images, once for all
    assert marks.between("validation_batch_start", "validation_batch_end") == [0, 0]
    assert marks.between("before", "after")[0] == 1

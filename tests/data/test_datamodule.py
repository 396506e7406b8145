import multiprocessing
import os
import signal

import pytest

from src.core.errors import InputError
from src.data.datamodule import SegmentationDataModule
from src.data.files.splits import Rule, Splits
from src.data.sources.shapes.dataset import prepare
from src.data.sources.voc import voc_folder
from src.data.transforms import Augment


@pytest.fixture
def folder(tmp_path):
    return prepare(tmp_path, seed=0, train=2, val=5, height=64, width=64)


def split(train=None, val=None):
    """From a folder to its splits, each with a limit."""
    return lambda path: Splits(voc_folder(path), Rule("train", limit=train), Rule("val", limit=val), None, {})


def module(folder, **options):
    """Two training images and five for validation."""
    usual = {
        "prepare": lambda root: folder,
        "root": folder,
        "split": split(),
        "augment": Augment(crop=32, scale=(1, 1), flip=0, jitter={}, squash=False, void=255),
        "batch_size": 2,
        "protocol": "voc",
        "workers": 2,
        "pin_memory": False,
        "cache": 0,
        "seed": 0,
    }
    return SegmentationDataModule(**usual | options)


def test_workers_that_validate_start_before_the_training_and_stay(folder):
    """What is forked later copies each page that a training writes next."""
    data = module(folder)
    before = {child.pid for child in multiprocessing.active_children()}
    data.train_dataloader()
    workers = {child.pid for child in multiprocessing.active_children()} - before
    assert len(workers) == 2
    loader = data.val_dataloader()
    for _ in range(2):
        assert [batch["id"] for batch in loader] == [[image_id] for image_id in data.ids("val")]
        assert {child.pid for child in multiprocessing.active_children()} - before == workers


def test_a_signal_to_the_whole_group_leaves_the_workers_to_their_command(folder):
    data = module(folder)
    loader = data.val_dataloader()
    first = next(iterator := iter(loader))
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGTERM)
    assert [batch["id"] for batch in [first, *iterator]] == [[image_id] for image_id in data.ids("val")]


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3")  # the machine may have fewer cores
def test_no_more_workers_start_than_there_are_batches(folder):
    data = module(folder, workers=1000, split=split(val=3))
    before = len(multiprocessing.active_children())
    assert data.train_dataloader().num_workers == 1
    assert len(multiprocessing.active_children()) - before == data.val_dataloader().num_workers == 3
    assert data.whole_images([]).num_workers == 0


ONE = {"split": split(train=1)}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"batch_size": 4}, "has 2 images and .*use recipe.batch_size=2 or less"),
        (
            ONE,
            "has 1 image up to data.train_limit=1, and a training step needs at least 2; give more",
        ),
    ],
)
def test_the_advice_for_too_few_images_is_possible(folder, options, says):
    with pytest.raises(InputError, match=says):
        module(folder, **options).train_dataloader()

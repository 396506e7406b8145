import multiprocessing

from src.data.datamodule import SegmentationDataModule
from src.data.sources.shapes.dataset import prepare
from src.data.transforms import Augment


def test_workers_that_validate_start_before_the_training_and_stay(tmp_path):
    """What is forked later copies each page that a training writes next."""
    folder = prepare(tmp_path, seed=0, train=2, val=5, height=64, width=64)
    data = SegmentationDataModule(
        prepare=lambda root: folder,
        root=tmp_path,
        lists={"train": ("train", None), "val": ("val", None)},
        left_out={},
        augment=Augment(crop=32, scale=(1, 1), flip=0, jitter={}, squash=False),
        batch_size=2,
        protocol="voc",
        workers=2,
        pin_memory=False,
        cache=0,
        seed=0,
    )
    before = {child.pid for child in multiprocessing.active_children()}
    data.train_dataloader()
    workers = {child.pid for child in multiprocessing.active_children()} - before
    assert len(workers) == 2
    loader = data.val_dataloader()
    for _ in range(2):
        assert [batch["id"] for batch in loader] == [[image_id] for image_id in data.ids("val")]
        assert {child.pid for child in multiprocessing.active_children()} - before == workers

"""What a training is about to see: its first augmented crops beside their masks."""

from functools import partial
from pathlib import Path

from src.core.files.whole import replacing
from src.data.datamodule import SegmentationDataModule
from src.data.datasets import EpochSampler, TrainSet
from src.data.inspection.sheet import composed

SHOWN = 16  # crops
_COLUMNS = 4
_SIZE = 200, 200  # px of a crop, at most


def draw_batch(data: SegmentationDataModule, path: Path) -> int:
    """Write the first crops of a training as a WebP file; training then draws the very same ones.

    The randomness of a crop depends only on the seed, the epoch and the image, so no random stream is touched.

    Returns:
        The number of crops; 0: there are too few images to train on, and nothing is written.

    Raises:
        InputError: an image cannot be read.
    """
    ids = data.ids("train")
    samples = TrainSet(data.folder, ids, data.augment, seed=data.seed)
    keys: list[tuple[int, int]] = []
    for epoch in range(SHOWN):  # a small data set needs several epochs; one without a whole batch gives none
        if len(keys) < SHOWN:
            keys += EpochSampler(len(ids), batch_size=data.batch_size, seed=data.seed, epoch=partial(int, epoch))
    crops = [samples[key] for key in keys[:SHOWN]]
    if crops:
        cells = [(crop["id"], crop["rgb"].numpy(), crop["mask"].numpy()) for crop in crops]
        with replacing(path) as temporary:
            sheet = composed(cells, data.folder.classes, columns=_COLUMNS, size=_SIZE)
            sheet.save(temporary, format="WEBP", quality=85)
    return len(crops)

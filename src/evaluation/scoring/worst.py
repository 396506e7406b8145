"""The panels of the images on which a network is worst, which is known only once all images are scored."""

import heapq
import math
from collections.abc import Callable
from pathlib import Path

from src.core import processes
from src.core.files.whole import replacing
from src.scoring.metrics import image_miou, margins
from src.scoring.scorer import Observer, Scored


class Worst(Observer):
    """Draws the images with the lowest own mIoU into `folder/ID.png`, at the end.

    Own mIoU is that of the network alone (`none`), or of the first variant if there is no `none`: a report puts the
    images of its baseline in the same order. Images without labels are not drawn.

    Args:
        folder: of the panels.
        count: images that are drawn, over all processes.
        draw: the panel of an image as a PNG file. Only as many files as `count` are held in memory.
    """

    def __init__(self, folder: Path, count: int, draw: Callable[[Scored], bytes]) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.count, self.draw = folder, count, draw
        self.held: list[tuple[float, str, bytes]] = []  # a heap: -mIoU, id, panel; the first is the best of them

    def __call__(self, image: Scored) -> None:
        """See `Observer`."""
        matrix = image.matrices["none"] if "none" in image.matrices else next(iter(image.matrices.values()))
        score = float(image_miou(margins(matrix)[None])[0])
        if math.isnan(score):
            return
        if len(self.held) < self.count:
            heapq.heappush(self.held, (-score, image.id, self.draw(image)))
        elif (-score, image.id) > self.held[0][:2]:
            heapq.heapreplace(self.held, (-score, image.id, self.draw(image)))

    def finish(self) -> None:
        """See `Observer`; each process writes its own among the worst of all."""
        everyone = [one for part in processes.gather([held[:2] for held in self.held]) for one in part]
        worst = {image_id for _, image_id in heapq.nlargest(self.count, everyone)}
        for _, image_id, content in self.held:
            if image_id in worst:
                with replacing(self.folder / f"{image_id}.png") as temporary:
                    temporary.write_bytes(content)

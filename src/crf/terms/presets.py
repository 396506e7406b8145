"""Models from the literature, by name."""

from typing import NamedTuple

from .kernels import Bilateral, Gaussian, Pairwise


class Preset(NamedTuple):
    """A model: its terms, how many iterations, and where it is from. Sigmas in px and in colours of 0..255."""

    terms: tuple[Pairwise, ...]
    iterations: int
    source: str


PRESETS = {
    "krahenbuhl2011": Preset(
        (Gaussian(3.0, weight=3.0), Bilateral(80.0, 13.0, weight=10.0)),
        iterations=5,
        source="the example of Kraehenbuehl and Koltun's code (2011), arXiv:1210.5644; strong",
    ),
    "deeplabv2": Preset(
        (Gaussian(1.0, weight=3.0), Bilateral(67.0, 3.0, weight=4.0)),
        iterations=10,
        source="DeepLab v2 (Chen et al. 2017), arXiv:1606.00915, as in kazuto1011/deeplab-pytorch",
    ),
}

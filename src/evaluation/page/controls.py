"""What a user can set on the page, and the CRF and fusion rule that it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from src.core.errors import InputError
from src.crf.model import GUIDANCES, CRFParameters, DenseCRF
from src.scoring import presets
from src.scoring.fusion import RULES, bound, needs_background, options_of
from src.scoring.variants import Variant

ALONE = "none"  # no fusion rule: the CRF's own labels
OWN = "of the run"
BY_HAND = "set by hand"


@dataclass(frozen=True)
class Slider:
    """A number on the page.

    Attributes:
        name: of a parameter of the CRF, or of a fusion rule's option.
        label: on the page.
        info: what it is, in a few words.
        low: the smallest value.
        high: the largest one; with more, or less, an answer would take much longer than a second.
        step: between values.
    """

    name: str
    label: str
    info: str
    low: float
    high: float
    step: float


CRF = (
    Slider("iterations", "iterations", "of mean field", 0, 20, 1),
    Slider("bilateral_weight", "bilateral weight", "of the kernel over positions and colours", 0, 30, 0.1),
    Slider("bilateral_sigma_xy", "bilateral sigma xy", "its standard deviation of positions, px", 5, 200, 1.0),
    Slider("bilateral_sigma_rgb", "bilateral sigma rgb", "its standard deviation of colours, of 255", 1, 100, 0.5),
    Slider("spatial_weight", "spatial weight", "of the kernel over positions alone", 0, 30, 0.1),
    Slider("spatial_sigma", "spatial sigma", "its standard deviation, px", 0.5, 20, 0.5),
    Slider("label_floor", "label floor", "classes that are nowhere as probable are skipped", 0, 0.5, 0.01),
)
FUSION = (
    Slider("weight", "weight", "the CRF's share of the mean", 0, 1, 0.05),
    Slider("radius", "radius", "around the network's edges, px", 1, 50, 1),
)
_STARTS = {"weight": 0.5, "radius": 5}


class Controls:
    """The sliders and choices of a page.

    Args:
        own: the CRF parameters of each network's run.
        backgrounds: of each network's classes, the label of the one that is the background, or None.
    """

    def __init__(self, own: Sequence[CRFParameters], backgrounds: Sequence[int | None]) -> None:
        self.backgrounds = tuple(backgrounds)
        named = sorted(path.stem for path in presets.FOLDER.glob("*.yaml"))
        found = {name: presets.parameters(presets.read(name)) for name in named}
        self.presets: dict[str, CRFParameters] = {OWN: own[0], **found}
        if len(own) > 1 and own[1] != own[0]:
            self.presets["of the second run"] = own[1]
        self.rules = (
            ALONE,
            *(rule for rule in RULES.names if None not in self.backgrounds or not needs_background(rule)),
        )
        self.guidances = GUIDANCES
        self.sliders = tuple(self._widened(slider) for slider in CRF)

    def _widened(self, slider: Slider) -> Slider:
        """The slider with room for the value of every preset."""
        values = [getattr(one, slider.name) for one in self.presets.values()]
        low, high = min(slider.low, *values), max(slider.high, *values)
        return replace(slider, low=low, high=high)

    def start(self) -> dict[str, Any]:
        """The values of a fresh page."""
        rule = "fill" if "fill" in self.rules else ALONE
        return {**self.of_preset(OWN), **_STARTS, "guidance": GUIDANCES[0], "fusion": rule}

    def of_preset(self, name: str) -> dict[str, Any]:
        """The values of the CRF's sliders for a preset; raises InputError if there is none of this name."""
        if name not in self.presets:
            raise InputError(f"there are no CRF parameters of the name {name!r}.")
        return {slider.name: getattr(self.presets[name], slider.name) for slider in self.sliders}

    def variants(self, values: Mapping[str, Any]) -> list[dict[str, Variant]]:
        """For each network its variants `network`, `crf` and `fusion`.

        Args:
            values: as `start` gives them; from a browser, so anything is possible.

        Raises:
            InputError: a value is outside of its slider, or a name is unknown.
        """
        exact: dict[str, Any] = {slider.name: self._exact(slider, values[slider.name]) for slider in self.sliders}
        guidance, rule = values["guidance"], values["fusion"]
        if guidance not in self.guidances or rule not in self.rules:
            raise InputError("this guidance image or fusion rule does not exist.")
        crf = DenseCRF(CRFParameters(**exact), guidance)
        options = {}
        if rule != ALONE:
            known = {slider.name: slider for slider in FUSION}
            options = {name: _within(known[name], values[name]) for name in options_of(rule)}
        return [
            {
                "network": Variant(),
                "crf": Variant(crf),
                "fusion": Variant(crf, None if rule == ALONE else bound(rule, options, background, "fusion")),
            }
            for background in self.backgrounds
        ]

    def _exact(self, slider: Slider, value: Any) -> float:
        """The value of a slider; on the step of a preset's value, it is the preset's, which need not lie on a step."""
        number = _within(slider, value)
        nearest = min((getattr(one, slider.name) for one in self.presets.values()), key=lambda own: abs(own - number))
        found: float = nearest if abs(nearest - number) <= slider.step / 2 else number
        return found


def _within(slider: Slider, value: Any) -> float:
    """The number, whole where steps are; raises InputError if it is none, or lies outside of the slider."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not slider.low <= value <= slider.high:
        raise InputError(f"{slider.label}: must be a number from {slider.low:g} to {slider.high:g}.")
    return round(value) if isinstance(slider.step, int) else float(value)

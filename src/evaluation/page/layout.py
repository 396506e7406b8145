"""The page: where things stand on it, and what happens when one of them is touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from src.core.errors import InputError
from src.evaluation.page.answer import Answers
from src.evaluation.page.controls import BY_HAND, FUSION, OWN, Controls, Slider
from src.evaluation.page.examples import Examples
from src.evaluation.page.upload import Picture

HERE = Path(__file__).parent / "static"
CSS = (HERE / "page.css").read_text(encoding="utf-8")
WAITING = 16  # computations in the queue; a visitor beyond them is told to come back
_QUIET = {"queue": True, "concurrency_id": "one", "concurrency_limit": 1, "api_visibility": "private"}


def layout(
    answers: Answers, controls: Controls, examples: Examples | None, read: Callable[[Path], Picture]
) -> gr.Blocks:
    """The page.

    Args:
        answers: labels images.
        controls: what can be set.
        examples: of the val list; None: the data is not there.
        read: from the path of an upload to its image; raises InputError.
    """

    def show(picture: Picture | None, values: Sequence[Any]) -> Any:
        if picture is None:
            return gr.skip()
        try:
            return answers.answer(picture, controls.variants(dict(zip(names, values, strict=True))))
        except InputError as error:
            return {"error": str(error)}

    def upload(path: str | None, before: Picture | None, *values: Any) -> tuple[Any, Any, None]:
        if path is None:
            return gr.skip(), gr.skip(), None
        try:
            picture = read(Path(path))
        except InputError as error:
            return None, {"error": str(error)}, None
        answers.forget(before)
        return picture, show(picture, values), None

    def pick(event: gr.EventData, before: Picture | None, *values: Any) -> tuple[Any, Any]:
        assert examples is not None
        try:
            picture = examples.picture(event._data.get("number"))
        except InputError as error:
            return None, {"error": str(error)}
        answers.forget(before)
        return picture, show(picture, values)

    def preset(name: str, picture: Picture | None, *values: Any) -> list[Any]:
        own = {} if name == BY_HAND else controls.of_preset(name)
        chosen = {**dict(zip(names, values, strict=True)), **own}
        return [*(chosen[slider.name] for slider in controls.sliders), show(picture, [*chosen.values()])]

    def options(rule: str) -> list[Any]:
        return [gr.update(visible=rule == owner) for owner in ("mean", "boundary")]

    start = controls.start()
    with gr.Blocks(title="SegLab", analytics_enabled=False, fill_width=True, delete_cache=(60, 600)) as page:
        picture = gr.State(None, delete_callback=answers.forget)
        with gr.Row():
            drop = gr.File(label="a picture", show_label=False, height=140, scale=1, min_width=260, elem_id="drop")
            if examples is not None:
                with gr.Column(scale=3, min_width=260):
                    thumbnails = gr.HTML(
                        examples.thumbnails,
                        html_template='<p>or an image of val, which has a truth:</p><div class="thumbnails"></div>',
                        js_on_load=(HERE / "examples.js").read_text(encoding="utf-8"),
                    )
        view = gr.HTML(
            None,
            html_template='<div class="answer"></div>',
            js_on_load=(HERE / "view.js").read_text(encoding="utf-8"),
        )
        with gr.Row():
            chosen = gr.Dropdown([*controls.presets, BY_HAND], value=OWN, label="CRF parameters", min_width=200)
            guidance = gr.Dropdown(
                [*controls.guidances], value=start["guidance"], label="guidance image", min_width=200
            )
            fusion = gr.Dropdown([*controls.rules], value=start["fusion"], label="fusion rule", min_width=200)
            extra = [_slider(slider, start, visible=False) for slider in FUSION]
        sliders = []
        for first in range(0, len(controls.sliders), 4):
            with gr.Row():
                sliders += [_slider(slider, start) for slider in controls.sliders[first : first + 4]]

        names = [*(slider.name for slider in (*controls.sliders, *FUSION)), "guidance", "fusion"]
        inputs = [*sliders, *extra, guidance, fusion]
        drop.upload(upload, [drop, picture, *inputs], [picture, view, drop], **_QUIET)
        if examples is not None:
            thumbnails.pick(pick, [picture, *inputs], [picture, view], **_QUIET)
        chosen.input(preset, [chosen, picture, *inputs], [*sliders, view], **_QUIET)
        fusion.input(options, fusion, extra, api_visibility="private", queue=False)
        by_hand = f"() => {json.dumps(BY_HAND)}"
        gr.on([one.input for one in sliders], None, None, chosen, js=by_hand, api_visibility="private")
        moved = [one.input for one in inputs]
        gr.on(
            moved, lambda picture, *values: show(picture, values), [picture, *inputs], view,
            trigger_mode="always_last", show_progress="hidden", **_QUIET,
        )  # fmt: skip
    page.queue(max_size=WAITING)
    return page


def _slider(slider: Slider, start: dict[str, Any], *, visible: bool = True) -> gr.Slider:
    return gr.Slider(
        slider.low,
        slider.high,
        start[slider.name],
        step=slider.step,
        label=slider.label,
        info=slider.info,
        buttons=[],
        visible=visible,
        min_width=200,
    )

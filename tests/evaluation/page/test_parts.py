"""What needs no server: sliders and what they stand for, and which pictures are read."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from src.core.errors import InputError
from src.evaluation.page.controls import BY_HAND, OWN, Controls
from src.evaluation.page.guard import Guard
from src.evaluation.page.upload import read_upload
from src.scoring import presets

TUNED = replace(presets.parameters(presets.read("deeplabv2")), bilateral_sigma_rgb=3.21987, bilateral_sigma_xy=4321.5)


def test_a_slider_on_the_step_of_a_tuned_value_means_exactly_that_value():
    controls = Controls([TUNED], [0])
    for shown in (3.0, 3.21987, 3.2):  # a browser may round to steps
        (variants,) = controls.variants({**controls.start(), "bilateral_sigma_rgb": shown})
        assert variants["fusion"].crf == variants["crf"].crf
        exact = {3.0: 3, 3.21987: 3.21987, 3.2: 3.21987}[shown]  # 3 is deeplabv2's
        assert variants["crf"].crf.parameters == replace(TUNED, bilateral_sigma_rgb=exact)


def test_each_preset_stands_for_its_parameters():
    controls = Controls([TUNED, presets.parameters(presets.read("krahenbuhl2011"))], [0, 0])
    for name, wanted in controls.presets.items():
        for variants in controls.variants({**controls.start(), **controls.of_preset(name)}):
            assert variants["crf"].crf.parameters == wanted
    assert controls.presets[OWN] == TUNED and BY_HAND not in controls.presets


def test_rules_that_need_a_background_are_offered_only_where_all_classes_have_one():
    assert "fill" in Controls([TUNED], [0]).rules
    assert "fill" not in Controls([TUNED, TUNED], [0, None]).rules


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("iterations", 21), ("iterations", None), ("bilateral_sigma_xy", 0.001), ("spatial_weight", float("nan"))),
        *(("label_floor", "0.1"), ("guidance", "x"), ("fusion", "x"), ("guidance", None)),
    ],
)
def test_values_that_no_slider_has_are_refused(name, value):
    controls = Controls([presets.parameters(presets.read("deeplabv2"))], [0])
    with pytest.raises(InputError):
        controls.variants({**controls.start(), name: value})


@pytest.mark.parametrize(
    ("size", "shown"), [((100, 100), (100, 100)), ((400, 200), (200, 100)), ((8, 5000), (6, 4096))]
)
def test_a_picture_is_scaled_down_only_if_it_is_too_large_and_says_so(tmp_path, size, shown):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    limit = 20_000 if size != (8, 5000) else 40_000
    picture = read_upload(tmp_path / "a.png", limit=10**6, pixels=limit, white=None)
    assert picture.rgb.shape == (shown[1], shown[0], 3)
    if size == shown:
        assert (picture.rgb == pixels).all() and picture.notes == ()
    else:
        (note,) = picture.notes
        assert f"from {size[0]} x {size[1]} to {shown[0]} x {shown[1]} px" in note


def status(path, method="GET", **headers):
    """What the guard answers itself; None: it lets the request through."""
    sent, passed = [], []

    async def app(scope, receive, send):
        passed.append(scope)

    async def send(message):
        sent.append(message)

    given = [(b"host", b"127.0.0.1:7860"), *((key.replace("_", "-").encode(), value) for key, value in headers.items())]
    scope = {"type": "http", "path": path, "method": method, "headers": given}
    asyncio.run(Guard(app, upload=1000)(scope, None, send))
    return None if passed else sent[0]["status"]


def test_the_guard_lets_through_the_page_alone():
    for path in ("/", "/config", "/assets/index-a_b.js", "/gradio_api/queue/data", "/gradio_api/heartbeat/abc"):
        assert status(path) is None, path
    for path in ("/gradio_api/file=/etc/passwd", "/file=x", "/assets/../x", "/gradio_api/info", "//etc", "/x\n/"):
        assert status(path) == 404, path
    assert status("/", "PUT") == 405
    assert status("/gradio_api/upload", "POST") == 411
    assert status("/gradio_api/upload", "POST", content_length=b"1000") is None
    assert status("/gradio_api/upload", "POST", content_length=b"100000") == 413
    assert status("/", origin=b"http://127.0.0.1:7861") == status("/", origin=b"null") == 403

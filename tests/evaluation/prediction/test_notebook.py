"""`load` gives the labels of `src.predict`, whatever an image comes as."""

import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from src import load
from src.core.errors import InputError
from src.evaluation.prediction.windows import in_windows
from tests.conftest import ROOT, environment
from tests.conftest import warm_run as run
from tests.evaluation.prediction.test_predict import read

PLUGIN = f"plugins={ROOT}/tests/tiny.py"


@pytest.fixture(scope="module")
def model(trained):
    return load(trained / "runs" / "A", "trainer=cpu", PLUGIN)


@pytest.fixture
def photo(trained):
    return sorted(trained.rglob("JPEGImages/*.jpg"))[0]


def test_every_kind_of_image_gives_the_labels_of_predict(model, trained, photo, tmp_path):
    run(
        "predict",
        f"run={trained / 'runs' / 'A'}",
        f"images={photo}",
        "variant=crf_raw_fill",
        "output=out",
        cwd=tmp_path,
    )
    wanted, rgb = read(tmp_path / "out" / "labels" / f"{photo.stem}.png"), read(photo)
    tensor = torch.tensor(rgb).permute(2, 0, 1)
    for image in (photo, str(photo), Image.fromarray(rgb), rgb, rgb / 255, tensor, tensor / 255):
        result = model(image, "crf_raw_fill")
        assert (result.labels == wanted).all() and (result.rgb == rgb).all()
    assert result.probabilities.shape == (21, *rgb.shape[:2]) and result.classes.names[0] == "background"
    np.testing.assert_allclose(result.probabilities.sum(0), 1, atol=1e-5)
    result.save(tmp_path / "x.png")
    assert (read(tmp_path / "x.png") == wanted).all()
    assert Image.open(io.BytesIO(result._repr_png_())).size == result.overlay().size
    assert f"{result.classes.names[wanted.flat[0]]} " in repr(result)


def test_the_labels_are_the_most_probable_without_a_fusion_rule(model, photo):
    for variant in ("none", "crf_raw"):
        result = model(photo, variant)
        assert (result.labels == result.probabilities.argmax(0)).all()
    assert (model(photo).labels == model(photo, "none").labels).all()


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"an array is \(H, W, 3\)"),
        (torch.zeros(5, 5, 3), r"a tensor is \(3, H, W\)"),
        (np.full((4, 4, 3), 7.0), "floats in 0..1; got float64 from 7.0"),
        (np.zeros((4, 4, 3), np.int32), "values are uint8"),
        (None, "not a NoneType"),
        (Image.new("I;16", (4, 4)), "mode I;16 has more than 8 bits; give its path, with white=NUMBER"),
        ("nowhere.jpg", "nowhere.jpg is missing"),
    ],
)
def test_what_is_no_image_is_told(model, image, says):
    with pytest.raises(InputError, match=says):
        model(image)


def test_wrong_words_and_runs_are_told(trained, tmp_path, photo, model):
    with pytest.raises(InputError, match="Did you mean variants"):
        load(trained / "runs" / "A", "variant_s=fusion", PLUGIN)
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "none")
    with pytest.raises(InputError, match="the run has none, crf_raw"):
        model(photo, "crf")
    with pytest.raises(InputError, match=r"saved as \.png"):
        model(photo).save(tmp_path / "x.jpg")


def test_importing_the_name_imports_no_torch():
    program = "import sys; from src import load; assert 'torch' not in sys.modules and 'hydra' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment(), check=True)


@pytest.mark.parametrize("size", [(150, 70), (70, 150), (64, 64), (65, 200)])
def test_windows_blend_as_their_definition_says(model, size):
    """Each pixel: the mean of its windows' probabilities, weighted by the distance to the window's edge."""
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    side, total, weights = 64, np.zeros((21, *size)), np.zeros(size)

    def places(length):
        count = 1 + -(-max(0, length - side) // 48)
        return [round(i * max(0, length - side) / max(1, count - 1)) for i in range(count)]

    ramp = np.minimum(np.minimum(np.arange(1, 65), np.arange(64, 0, -1)), 16)
    for top in places(size[0]):
        for left in places(size[1]):
            here = (slice(top, top + side), slice(left, left + side))
            found = model.predictor(np.ascontiguousarray(rgb[here]))["crf_raw"].probs.numpy()
            weight = ramp[:, None] * ramp
            total[(slice(None), *here)] += weight * found
            weights[here] += weight
    labels, probs = np.full(size, -1), np.zeros((21, *size))
    for stripe in in_windows(model.predictor, rgb, "crf_raw", side):
        assert (labels[stripe.place] == -1).all()
        labels[stripe.place] = stripe.prediction.labels.numpy()
        probs[(slice(None), *stripe.place)] = stripe.prediction.probs.numpy()
    np.testing.assert_allclose(probs, total / weights, atol=1e-5)
    assert (labels == probs.argmax(0)).mean() > 0.999

"""`src.predict` gives the labels that were scored, of whatever can be read, and goes on where it stopped."""

import csv

import numpy as np
import pytest
from PIL import Image

from tests.conftest import warm_run as run


def matrix(labels, mask, classes=21):
    known = mask != 255
    return np.bincount(classes * mask[known].astype(int) + labels[known], minlength=classes**2).reshape(classes, -1)


def predicted(folder):
    return {path.stem: np.asarray(Image.open(path)) for path in (folder / "labels").glob("*.png")}


@pytest.mark.parametrize("variant", ["none", "crf_raw_fill"])
def test_the_confusion_matrix_of_the_files_is_that_of_evaluate(here, trained, variant):
    run("predict", "run=runs/A", "images=photos", f"variant={variant}", "output=out", cwd=here)
    scored = np.load(trained / "runs" / "A" / "confusion.npz")
    labels = predicted(here / "out")
    for image_id, wanted in zip(scored["ids"], scored[variant], strict=True):
        (path,) = trained.rglob(f"SegmentationClass/{image_id}.png")
        assert (matrix(labels[image_id], np.asarray(Image.open(path))) == wanted).all()
    assert len({value for found in labels.values() for value in np.unique(found)}) > 2

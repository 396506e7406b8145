"""Ground truth is read-only, variants share CRF runs, and scores do not depend on the order of the work."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from src import fusion
from src.scoring import confusion_matrix
from src.variants import Variant, VariantScorer

CLASSES = 4


@dataclass(frozen=True)
class Nonsense:
    """A CRF that answers rubbish and scribbles over what it was given."""

    label: int

    def __call__(self, probs, rgb):
        answer = np.zeros_like(probs)
        answer[self.label] = 1
        probs[...], rgb[...] = 0.25, 7
        return answer


def sample(seed):
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(CLASSES, 6, 9)).astype(np.float32))
    target = torch.from_numpy(rng.choice([0, 1, 2, 3, 255], (6, 9)))
    return logits, rng.integers(0, 256, (6, 9, 3), dtype=np.uint8), target


@pytest.fixture(scope="module")
def scored():
    variants = {
        "none": Variant(),
        "crf": Variant(Nonsense(2)),
        "filled": Variant(Nonsense(0), fusion.fill),
        "crf_again": Variant(Nonsense(2)),
    }
    seen, samples = [], {f"image{i}": sample(i) for i in range(5)}
    with VariantScorer(variants, CLASSES, processes=1, observers=[seen.append]) as scorer:
        for name, (logits, rgb, target) in samples.items():
            scorer.add(name, logits, rgb, target)
        scorer.finish()
    return scorer, samples, seen


def test_a_crf_that_returns_nonsense_moves_its_own_score_and_no_target(scored):
    scorer, samples, seen = scored
    for image, (logits, rgb, target) in zip(seen, (sample(i) for i in range(5)), strict=True):
        assert (image.target == target).all() and (image.rgb == rgb).all()
        assert (image.labels["none"] == logits.argmax(0)).all()
        assert (image.labels["crf"] == 2).all()
        # this CRF says background everywhere, so filling gives the network back
        assert (image.labels["filled"] == logits.argmax(0)).all()
    assert scorer.ids == list(samples)


def test_matrices_are_those_of_each_image(scored):
    scorer, samples, _ = scored
    for matrix, (logits, _, target) in zip(scorer.stacked()["none"], samples.values(), strict=True):
        assert (matrix == confusion_matrix(logits.argmax(0), target, CLASSES).numpy()).all()
    assert (scorer.stacked()["crf"] == scorer.stacked()["crf_again"]).all()


def test_without_images_there_are_no_scores():
    with VariantScorer({"none": Variant()}, CLASSES, processes=1) as scorer:
        scorer.finish()
    assert scorer.stacked()["none"].shape == (0, CLASSES, CLASSES)


def test_variants_with_the_same_crf_share_one_run():
    submitted = []

    class Counting(VariantScorer):
        def _workers(self):
            pool = super()._workers()
            submitted.append(1)
            return pool

    variants = {"a": Variant(Nonsense(1)), "b": Variant(Nonsense(1), fusion.max), "c": Variant(Nonsense(2))}
    with Counting(variants, CLASSES, processes=1) as scorer:
        scorer.add("image", *sample(0))
        scorer.finish()
    assert len(submitted) == 2

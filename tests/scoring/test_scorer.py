"""Ground truth is read-only, variants share CRF runs, and scores do not depend on the order of the work."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import pytest
import torch

from src.core.errors import InputError
from src.crf.engines import ENGINES
from src.models.inference import PLAIN
from src.scoring import fusion
from src.scoring.confusion import confusion_matrix
from src.scoring.labelling import Labeller
from src.scoring.scorer import Observer, VariantScorer
from src.scoring.variants import Variant
from tests.crf.conftest import model
from tests.scoring.conftest import CLASSES, made_sample

TWO, ZERO = model(iterations=2), model(iterations=0)  # what Nonsense answers with: label 2, label 0


@dataclass
class Nonsense:
    """An engine that answers rubbish and scribbles over what it was given."""

    batch: int = 1
    ahead: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    asked: list = field(default_factory=list)
    closed: bool = False
    busy: float = 0.0

    def submit(self, probs, rgb, models):
        self.asked.append((len(probs), models))
        done = Future()
        done.set_result([[self.answer(p, crf.parameters.iterations) for crf in models] for p in probs])
        for image in rgb:
            with pytest.raises(ValueError, match="read-only"):
                image[...] = 7
        return done

    def answer(self, probs, label):
        answer = torch.zeros_like(probs)
        answer[label] = 1
        return answer

    def close(self, *, cancel):
        self.closed = True


@dataclass
class Notes(Observer):
    seen: list

    def __call__(self, image):
        self.seen.append(image)


@pytest.fixture(scope="module", params=[(1, 0), (1, 3), (2, 0), (16, 1)], ids=str)
def scored(request):
    variants = {
        "none": Variant(),
        "crf": Variant(TWO),
        "filled": Variant(ZERO, partial(fusion.fill, background=0)),
        "crf_again": Variant(TWO),
    }
    seen, samples = [], {f"image{i}": made_sample(i) for i in range(5)}
    engine = Nonsense(*request.param)
    with VariantScorer(variants, CLASSES, engine, observers=[Notes(seen)]) as scorer:
        for name, (logits, rgb, target) in samples.items():
            scorer.add(name, {PLAIN: logits.softmax(0)}, rgb, target)
        scorer.finish()
    return scorer, samples, seen


def test_a_crf_that_returns_nonsense_moves_its_own_score_and_no_target(scored):
    scorer, samples, seen = scored
    for image, (logits, rgb, target) in zip(seen, (made_sample(i) for i in range(5)), strict=True):
        assert (image.target == target).all() and (image.rgb == rgb).all()
        assert (image.labels["none"] == logits.argmax(0)).all()
        assert (image.labels["crf"] == 2).all()
        # this CRF says background everywhere, so filling gives the network back
        assert (image.labels["filled"] == logits.argmax(0)).all()
    assert scorer.ids == list(samples)


def test_matrices_are_those_of_each_image(scored):
    scorer, samples, _ = scored
    for matrix, (logits, _, target) in zip(scorer.matrices["none"], samples.values(), strict=True):
        assert (matrix == confusion_matrix(logits.argmax(0), target, CLASSES).numpy()).all()
    assert (scorer.matrices["crf"] == scorer.matrices["crf_again"]).all()


def test_what_the_crf_complains_about_is_told_as_a_sentence():
    """With such sigmas each pixel would be far from every other, with more vertices than numbers for them."""
    fine = Variant(model(bilateral_sigma_xy=0.01, bilateral_sigma_rgb=0.01))
    logits, rgb, target = made_sample(0)
    scorer = VariantScorer({"crf": fine}, CLASSES, ENGINES["numba"]("cpu", 1))
    with pytest.raises(InputError, match="too small for this image"), scorer:
        scorer.add("image", {PLAIN: logits.softmax(0)}, rgb, target)
        scorer.finish()


def test_without_images_there_are_no_scores():
    with VariantScorer({"none": Variant()}, CLASSES, None) as scorer:
        scorer.finish()
    assert scorer.matrices["none"].shape == (0, CLASSES, CLASSES)


def test_variants_with_the_same_crf_share_one_run(scored):
    scorer, samples, _ = scored
    assert all(models == (TWO, ZERO) for _, models in scorer.engine.asked)
    assert sum(count for count, _ in scorer.engine.asked) == len(samples)
    assert scorer.engine.closed


def test_an_engine_that_fails_is_not_passed_over():
    class Broken(Nonsense):
        def submit(self, probs, rgb, models):
            done = Future()
            done.set_exception(MemoryError("no room"))
            return done

    with pytest.raises(MemoryError, match="no room"), VariantScorer({"crf": Variant(TWO)}, CLASSES, Broken()) as scorer:
        logits, rgb, target = made_sample(0)
        scorer.add("image", {PLAIN: logits.softmax(0)}, rgb, target)
        scorer.finish()


def test_a_crf_needs_an_engine():
    with pytest.raises(ValueError, match="crf_raw: these variants have a CRF, but there is no engine"):
        Labeller({"none": Variant(), "crf_raw": Variant(crf=TWO)}, None)

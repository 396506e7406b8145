import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage import coverage, ours
from src.reporting.statistics import Sample, bootstrap, difference, estimate, holm, verdict

ONE = np.ones((1, 1), dtype=bool)


def sample(numerator, denominator, means=None, seeds=None):
    numerator, denominator = (np.asarray(array, dtype=np.float32) for array in (numerator, denominator))
    means = np.ones((numerator.shape[2], 1), dtype=bool) if means is None else means
    return Sample(numerator, denominator, means, seeds or tuple(range(len(numerator))))


def shares(values):
    """One ratio with denominators of 1: its score is the mean of (S, N) values."""
    values = np.asarray(values)[..., None]
    return sample(values, np.ones_like(values))


def test_the_interval_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(0).random((1, 400))
    (draws,) = bootstrap([shares(values)], resamples=20_000)
    found = estimate(draws)
    error = values.std(ddof=1) / 20
    assert found.value == pytest.approx(values.mean(), abs=1e-6)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.05 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.05 * error)
    assert np.isnan(found.seeds_sd)


def test_scores_are_means_of_ratios_of_sums_as_resampled_by_hand():
    random = np.random.default_rng(1)
    union = random.integers(1, 50, (2, 30, 3))
    hit = (union * random.random(union.shape)).round()
    means = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1]], dtype=bool)  # score 0 over all ratios, 1 and 2 over one each
    (draws,) = bootstrap([sample(hit, union, means)], resamples=1)
    ratios = hit.sum(1) / union.sum(1)
    assert draws.point == pytest.approx(np.stack([ratios.mean(1), ratios[:, 0], ratios[:, 2]], 1), abs=1e-6)

    drawn = np.random.default_rng(0).integers(0, 30, 30)
    residual = hit - ratios[:, None] * union
    hit = ratios[:, None] * union + residual / np.sqrt(1 - union / union.sum(1, keepdims=True))
    again = hit[:, drawn].sum(1) / union[:, drawn].sum(1)
    assert draws.resampled[0, :, 0] == pytest.approx(again.mean(1), abs=1e-5)


def test_a_class_of_one_image_keeps_its_score_in_every_resample():
    union = np.ones((1, 20, 2))
    union[0, 1:, 1] = 0
    hit = union * np.array([0.5, 0.25])
    (draws,) = bootstrap([sample(hit, union)], resamples=500)
    assert draws.resampled == pytest.approx(0.375)


def test_a_class_that_no_image_has_is_left_out_of_the_mean():
    union = np.ones((1, 20, 2))
    union[..., 1] = 0
    (draws,) = bootstrap([sample(0.5 * union, union)], resamples=50)
    assert draws.point == 0.5 and (draws.resampled == 0.5).all()


def test_equal_rows_differ_by_nothing():
    row = shares(np.random.default_rng(2).random((3, 50)))
    first, second = bootstrap([row, row], resamples=1000)
    found = difference(first, second)
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_pairing_takes_out_what_rows_have_in_common():
    random = np.random.default_rng(3)
    easy = random.random((1, 300))
    rows = [shares(easy), shares(easy + 0.01 + 0.01 * random.normal(size=easy.shape))]
    baseline, better = bootstrap(rows, resamples=5000)
    found = difference(better, baseline)
    assert found.low > 0 and found.p < 1e-3
    assert estimate(better).low < estimate(baseline).high  # intervals overlap and the difference is clear all the same


def test_seeds_alone_give_students_interval():
    scores = np.array([0.70, 0.72, 0.77])
    first, second = bootstrap(
        [shares(np.repeat(scores[:, None], 40, 1)), shares(np.full((3, 40), 0.7))], resamples=200_000
    )
    found = estimate(first)
    low, high = stats.t.interval(0.95, 2, scores.mean(), stats.sem(scores))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03 * (high - low))
    assert found.seeds_sd == pytest.approx(scores.std(ddof=1), abs=1e-6)
    paired = difference(first, second)
    assert paired.p == pytest.approx(stats.ttest_1samp(scores, 0.7).pvalue, abs=0.01)


def test_other_seeds_are_compared_by_welch():
    a, b = np.array([0.70, 0.72, 0.77]), np.array([0.60, 0.66])
    rows = [shares(np.repeat(scores[:, None], 40, 1)) for scores in (a, b)]
    first, second = bootstrap(rows, resamples=200_000)
    assert difference(first, second).p == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue, abs=0.01)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert verdict(0.1, 0.01) == "better" and verdict(-0.1, 0.01) == "worse"
    assert verdict(0.1, 0.05) == "not separable" and verdict(0.1, float("nan")) == "not separable"


def test_rows_of_different_images_are_refused():
    with pytest.raises(ValueError, match="different numbers of images"):
        bootstrap([shares(np.ones((1, 3))), shares(np.ones((1, 4)))], resamples=1)


@pytest.mark.parametrize(("seeds", "seed_sd"), [(1, 0.0), (3, 0.02)])
def test_intervals_hold_the_truth_about_as_often_as_they_claim(seeds, seed_sd):
    world = {"presence": 0.05, "seed_sd": seed_sd, "gain": 0.02}
    for share in coverage(ours, count=200, seeds=seeds, repeats=150, resamples=300, **world):
        assert 0.90 <= share <= 0.98

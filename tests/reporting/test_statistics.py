from itertools import product

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage import held, wrong
from benchmarks.worlds import Simulated
from src.reporting.statistics.intervals import estimate
from src.reporting.statistics.ratios import units
from src.reporting.statistics.remarks import sentences
from src.reporting.statistics.samples import Sample
from src.reporting.statistics.seeds import spread_of
from src.reporting.statistics.swaps import swapped
from src.reporting.statistics.verdicts import analyse, step_down, verdict


def sample(numerator, denominator, means=None, name="a"):
    numerator, denominator = (np.asarray(array, dtype=np.float32) for array in (numerator, denominator))
    means = np.ones((numerator.shape[2], 1), dtype=bool) if means is None else means
    return Sample(numerator, denominator, means, tuple(f"{name}{seed}" for seed in range(len(numerator))))


def shares(values, name="a"):
    """One ratio with denominators of 1: its score is the mean of (S, N) values."""
    values = np.asarray(values, dtype=float)[..., None]
    return sample(values, np.ones_like(values), name=name)


def alone(row):
    nothing = np.zeros(row.means.shape[1])
    return estimate(row, nothing, nothing)


def difference(row, baseline, **options):
    return analyse([baseline, row], [None, 0], **options).differences[1]


def test_scores_are_means_of_ratios_of_sums():
    random = np.random.default_rng(1)
    union = random.integers(1, 50, (2, 30, 3))
    hit = (union * random.random(union.shape)).round()
    means = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1]], dtype=bool)  # score 0 over all ratios, 1 and 2 over one each
    ratios = hit.sum(1) / union.sum(1)
    wanted = np.stack([ratios.mean(1), ratios[:, 0], ratios[:, 2]], 1)
    assert sample(hit, union, means).point == pytest.approx(wanted, abs=1e-6)


def test_a_class_that_no_image_has_is_left_out_of_the_mean():
    union = np.ones((1, 20, 2))
    union[..., 1] = 0
    row = sample(0.5 * union, union)
    assert row.point == 0.5 and alone(row).low == alone(row).high == 0.5


def test_the_interval_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(0).random((1, 400))
    found = alone(shares(values))
    low, high = stats.t.interval(0.95, 399, values.mean(), stats.sem(values[0]))
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), low, high), abs=1e-5)
    assert np.isnan(found.seeds_sd)


@pytest.mark.parametrize("images", [40, 60])  # without an interval, and with one
def test_a_mean_weighted_equally_has_the_interval_of_the_plain_one(images):
    random = np.random.default_rng(8)
    union = random.integers(1, 50, (1, images, 12))
    hit = (union * random.random(union.shape)).round()
    found = alone(sample(hit, union, np.array([[1, 1 / 12]] * 12)))
    for ends in (found.value, found.low, found.high):
        assert ends[1] == pytest.approx(ends[0], nan_ok=True)


def test_no_interval_is_given_where_none_would_hold():
    assert np.isnan(alone(shares(np.random.default_rng(0).random((1, 19)))).low)
    union = np.zeros((1, 40, 10))
    union[0, range(40), np.arange(40) % 10] = 1
    hit = 0.5 * union
    assert not np.isnan(alone(sample(hit, union)).low)
    assert np.isnan(alone(sample(hit[:, :39], union[:, :39])).low)  # fewer than four for each class
    hit[..., 3] = 0  # a class that is never found
    assert np.isnan(alone(sample(hit, union)).low)


def test_swaps_are_those_counted_by_hand():
    random = np.random.default_rng(2)
    counts = random.integers(1, 9, (2, 5, 2, 3)).astype(
        float
    )  # two rows, five images, hits and unions of three classes
    counts[:, :, 1] += counts[:, :, 0]
    rows = [sample(one[None, :, 0], one[None, :, 1]) for one in counts]
    wanted = []
    for coins in product((0, 1), repeat=5):
        first = np.stack([counts[coin, image] for image, coin in enumerate(coins)]).sum(0)
        both = [first, counts.sum((0, 1)) - first]
        wanted.append(np.subtract(*((hits / unions).mean() for hits, unions in both)))
    found = swapped([(rows[0], rows[1])], swaps=100)
    assert found.exact
    draws = found.draws[0, :, 0]
    assert np.sort([*draws, *-draws]) == pytest.approx(np.sort(wanted), abs=1e-6)
    p = np.mean(np.abs(wanted) >= abs(wanted[0]) - 1e-9)
    assert difference(rows[0], rows[1]).p == pytest.approx(p)


def test_a_random_choice_of_swaps_agrees_with_all_of_them():
    random = np.random.default_rng(3)
    rows = [shares(random.random((1, 14)) + gain, name) for gain, name in ((0.0, "a"), (0.15, "b"))]
    exact, chosen = (difference(rows[1], rows[0], swaps=swaps) for swaps in (8192, 8191))
    assert chosen.p == pytest.approx(exact.p, abs=0.01) and chosen.low == pytest.approx(exact.low, abs=0.01)


def test_a_pixel_of_one_image_decides_nothing():
    union = np.full((1, 1, 2), 1000)
    found = difference(sample(np.full(union.shape, 501), union), sample(np.full(union.shape, 500), union))
    assert found.p == 1 and np.isnan(found.low)


def test_equal_rows_differ_by_nothing():
    values = np.random.default_rng(2).random((3, 50))
    found = difference(shares(values, "a"), shares(values, "b"))
    assert (found.value, found.p) == (0, 1) and found.low <= 0 <= found.high


def test_pairing_takes_out_what_rows_have_in_common():
    random = np.random.default_rng(3)
    easy = random.random((1, 300))
    baseline, better = shares(easy), shares(easy + 0.01 + 0.01 * random.normal(size=easy.shape), "b")
    found = difference(better, baseline)
    assert found.low > 0 and found.p < 1e-3
    assert alone(better).low < alone(baseline).high  # intervals overlap and the difference is clear all the same


def test_the_spread_of_seeds_is_pooled_over_rows():
    random = np.random.default_rng(4)
    points = random.normal(size=(4, 3, 1))
    spread = spread_of([*(points - points.mean(1, keepdims=True))], [(f"{row}",) * 3 for row in "abcd"])
    assert spread.variance == pytest.approx(np.full((4, 1), points.var(1, ddof=1).mean()))
    assert spread.freedom == pytest.approx(np.full((4, 1), 8)) and spread.pooled.all()


def test_rows_of_the_same_trainings_know_the_spread_together_no_better_than_one_does():
    deviations = np.array([[-1.0], [0.5], [0.5]])
    spread = spread_of([deviations, 1.1 * deviations], [("a", "b", "c")] * 2)
    assert spread.freedom == pytest.approx(np.full((2, 1), 2))


def test_spreads_that_differ_much_stay_with_their_rows():
    quiet, loud = np.array([[-0.01], [0.0], [0.01], [0.0]]), np.array([[-3.0], [1.0], [2.0], [0.0]])
    spread = spread_of([quiet, loud, np.zeros((1, 1))], [("a",) * 4, ("b",) * 4, ("c",)])
    assert not spread.pooled and spread.freedom[:, 0] == pytest.approx([3, 3, 3])
    assert spread.variance[:, 0] == pytest.approx([quiet.var(ddof=1), loud.var(ddof=1), loud.var(ddof=1)])
    assert stats.bartlett(quiet[:, 0], loud[:, 0]).pvalue < 0.05


@pytest.mark.parametrize("counts", [(3, 3), (3, 2), (4, 1)])
def test_seeds_alone_give_students_test_of_two_samples(counts):
    random = np.random.default_rng(5)
    scores = [0.7 + 0.02 * random.normal(size=count) for count in counts]
    rows = [shares(np.repeat(found[:, None], 200, 1), name) for found, name in zip(scores, "ab", strict=True)]
    found = difference(*rows, swaps=100_000)
    freedom = sum(counts) - 2
    pooled = sum(((one - one.mean()) ** 2).sum() for one in scores) / freedom
    error = np.sqrt(pooled * sum(1 / count for count in counts))
    p = 2 * stats.t.sf(abs(found.value / error), freedom)
    assert found.with_seeds and found.p == pytest.approx(p, abs=0.01)


def test_ways_of_swapping_that_are_all_there_count_alike():
    random = np.random.default_rng(6)
    seeds = np.array([[0.0], [0.1]])  # which differ more than images do
    rows = [shares(0.5 + seeds + 0.1 * random.random((2, 14)), name) for name in "ab"]
    one, other = (difference(*rows, swaps=swaps).p for swaps in (2**13, 10_000))  # of 14 images, 2**13 that differ
    assert one == other


def test_variants_of_the_same_trainings_are_paired_by_training():
    change = np.array([0.010, 0.014, 0.012])
    networks = np.array([0.6, 0.7, 0.8])
    rows = [shares(np.repeat((networks + added)[:, None], 200, 1)) for added in (0 * change, change)]
    found = difference(rows[1], rows[0], swaps=100_000)
    assert found.p == pytest.approx(stats.ttest_1samp(change, 0).pvalue, abs=0.005)


def test_rows_that_share_some_trainings_are_compared_on_these():
    random = np.random.default_rng(6)
    values = random.random((3, 60))
    found = difference(shares(values[:2] + 0.1), shares(values))
    assert found.trainings == 2 and found.value == pytest.approx(0.1)


def test_step_down_by_hand():
    draws = np.array([[1.0, 4, 2, 3], [5, 1, 1, 1], [1, 1, 1, 1]])[..., None]  # three rows, four draws
    found = step_down(np.array([[4.0], [3.0], [0.5]]), draws, np.ones((3, 1)), exact=True)
    assert found.p[:, 0] == pytest.approx([1 / 4, 1 / 4, 1])
    assert found.corrected[:, 0] == pytest.approx(
        [2 / 4, 2 / 4, 1]
    )  # the second: largest of rows 2 and 3, then in order


def test_copies_of_a_row_cost_nothing():
    random = np.random.default_rng(7)
    easy = random.random((1, 100))
    better = easy + 0.004 + 0.02 * random.normal(size=easy.shape)
    copies = [shares(better, f"b{k}") for k in range(20)]
    found = analyse([shares(easy), *copies], [None, *[0] * 20]).differences[1]
    assert found.corrected == pytest.approx(found.p)


def test_intervals_contain_zero_exactly_where_nothing_is_separable():
    for repeat in range(30):
        random = np.random.default_rng(repeat)
        count, seeds = random.integers(3, 30), random.integers(1, 4)
        rows = [shares(0.5 + 0.3 * random.random((seeds, count)) + 0.05 * k, f"r{k}") for k in range(4)]
        for found in analyse(rows, [None, 0, 0, 0], swaps=300).differences[1:]:
            decided = verdict(found.value[0], found.corrected[0]) != "not separable"
            assert decided == (found.low[0] > 0 or found.high[0] < 0)


def test_verdicts_that_hang_on_the_choice_of_swaps_are_named():
    rows = [shares(np.zeros((1, 60)), "a"), shares(np.r_[np.ones(20), -np.ones(8), np.zeros(32)][None] / 9, "b")]
    few, many = (analyse(rows, [None, 0], swaps=swaps) for swaps in (200, 100_000))
    assert many.differences[1].corrected == pytest.approx(0.0357, abs=0.002)  # 2 P(at least 20 of 28 coins)
    said = [any("swaps can tell" in line for line in sentences("ab", rows, *of)) for of in ((few, 200), (many, 10**5))]
    assert said == [True, False]


def test_verdicts_look_at_corrected_p():
    assert verdict(0.1, 0.01) == "better" and verdict(-0.1, 0.01) == "worse"
    assert verdict(0.1, 0.05) == "not separable" and verdict(0.1, float("nan")) == "not separable"


def test_rows_of_different_images_are_refused():
    with pytest.raises(ValueError, match="different numbers of images"):
        difference(shares(np.ones((1, 3))), shares(np.ones((1, 4)), "b"))


@pytest.mark.parametrize("seeds", [(1, 1), (3, 3), (1, 3)])
def test_verdicts_without_a_difference_are_as_rare_as_they_claim(seeds):
    world = Simulated(presence=0.1, seed_sd=0.0 if seeds == (1, 1) else 0.02)
    for count in (1, 6, 20):
        assert wrong(world, count=count, seeds=seeds, repeats=100) <= 0.12  # more than that is once in 250, at 5 %


def test_many_rows_have_no_more_false_verdicts_than_one():
    for likeness in (0.0, 0.98):
        world = Simulated(presence=0.1, gains=(0.0,) * 13, likeness=likeness)
        assert wrong(world, count=15, seeds=(1,) * 13, repeats=100) <= 0.12


@pytest.mark.parametrize(("seeds", "seed_sd"), [(1, 0.0), (3, 0.02)])
def test_intervals_hold_the_truth_about_as_often_as_they_claim(seeds, seed_sd):
    world = Simulated(presence=0.1, seed_sd=seed_sd, gains=(0.0, 0.02))
    _, of_row, _, of_difference = held(world, count=100, seeds=(seeds, seeds), repeats=150)
    assert of_row >= 0.90 and of_difference >= 0.90


def test_groups_of_two_runs_that_share_an_image_are_one():
    ids = ["a1", "b1", "b2", "c2", "c3", "a3", "d4"]
    both = units(["(.).", ".(.)"], ids)
    assert len(set(both[:6])) == 1 and both[6] != both[0]
    assert [*units(["(.)."], ids)] == [0, 1, 1, 2, 2, 0, 3] and [*units([None], ids)] == [*range(7)]

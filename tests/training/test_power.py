"""What a table can find, beside worlds whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats

from src.reporting.statistics.verdicts import analyse, verdict
from src.training.sweeps.power import Design, Spreads, error, limit, parts_of, power, seeds_for, smallest
from tests.reporting.test_statistics import shares

IMAGES = 80


def world(random, spreads, seeds, gains, images=IMAGES):
    """Rows whose score is a mean of values with the three spreads; all rows are `gains` apart from 0.5."""
    rows = []
    for row, gain in enumerate(gains):
        lasting = random.normal(0, spreads.images / math.sqrt(2), images)  # of each row, so that two differ by `images`
        training = random.normal(0, spreads.seeds, (seeds, 1))
        own = random.normal(0, spreads.interaction, (seeds, images))
        rows.append(shares(0.5 + gain + lasting + training + own, name=f"{row}-"))
    return rows


SPREADS = Spreads(images=0.08, seeds=0.012, interaction=0.05)


@pytest.mark.parametrize(("seeds", "rows"), [(1, 2), (2, 4), (3, 4), (5, 2)])
def test_a_difference_of_the_smallest_size_is_found_in_four_of_five_tables(seeds, rows):
    # With one seed the question is about these trainings, whose luck is part of what is true.
    spreads = Spreads(SPREADS.images, 0.0 if seeds == 1 else SPREADS.seeds, SPREADS.interaction)
    gain = smallest(spreads, Design(IMAGES, seeds, rows - 1, rows))
    random, found = np.random.default_rng(seeds), 0
    for _ in range(200):
        drawn = world(random, spreads, seeds, [0.0] * (rows - 1) + [gain])
        change = analyse(drawn, [None, *[0] * (rows - 1)], swaps=1000).differences[-1]
        found += verdict(float(change.value[0]), float(change.corrected[0])) == "better"
    assert 0.7 <= found / 200 <= 0.9


def test_the_spreads_of_a_pilot_are_those_of_its_world():
    random = np.random.default_rng(0)
    found = [parts_of(world(random, SPREADS, 4, [0.0, 0.1, 0.2, 0.1]), shared=False) for _ in range(60)]
    wanted = SPREADS.images, SPREADS.seeds, SPREADS.interaction
    assert np.sqrt((np.array(found) ** 2).mean(0)) == pytest.approx(wanted, rel=0.1)


def test_what_a_pilot_cannot_tell_is_left_open():
    random = np.random.default_rng(0)
    assert parts_of(world(random, SPREADS, 1, [0.0, 0.1]), shared=False)[1:] == (None, None)
    assert parts_of(world(random, SPREADS, 3, [0.0]), shared=False)[0] is None


def test_variants_of_the_same_trainings_have_the_spreads_of_their_differences():
    random = np.random.default_rng(0)
    common = random.normal(0.5, 0.3, (40, 100))  # large, and in both rows
    moved = 0.01 + random.normal(0, 0.02, (40, 1)) + random.normal(0, 0.05, 100) + random.normal(0, 0.04, (40, 100))
    rows = shares(common, name="t"), shares(common + moved, name="t")
    images, seeds, interaction = parts_of(rows, shared=True)
    assert (images, seeds, interaction) == pytest.approx((0.05, 0.02, 0.04), rel=0.3)


def test_two_rows_with_seeds_alone_are_the_t_test_of_the_textbook():
    design, spreads = Design(10**9, 4, 1, 2), Spreads(0.0, 0.01)
    size, freedom = error(spreads, design)
    assert (size, freedom) == pytest.approx((0.01 * math.sqrt(2 / 4), 6))
    bound = stats.t.ppf(0.975, 6)
    assert power(0.03, spreads, design) == pytest.approx(stats.nct.sf(bound, 6, 0.03 / size), abs=0.02)


def test_more_seeds_find_less_until_the_images_are_the_limit():
    design = Design(100, 3, 3, 4)
    spreads = Spreads(0.04, 0.02)
    needed = seeds_for(0.02, spreads, design)
    assert smallest(spreads, Design(100, needed, 3, 4)) <= 0.02 < smallest(spreads, Design(100, needed - 1, 3, 4))
    assert limit(spreads, design) == pytest.approx(limit(Spreads(0.04, 0.0), design))
    assert seeds_for(limit(spreads, design) * 0.9, spreads, design) is None
    assert limit(spreads, Design(400, 3, 3, 4)) < 0.55 * limit(spreads, design)

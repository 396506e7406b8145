"""The statistics before: a bootstrap over images, Student's t for the seeds of each row, Holm's correction."""

import numpy as np


def drawn(rows, *, resamples, seed=0):
    """Per row (R, S, G): scores of the same resamples of the images, with residuals scaled by their leverage."""
    random = np.random.default_rng(seed)
    images = rows[0].images
    counts = random.multinomial(images, np.full(images, 1 / images), resamples).astype(float)
    found = []
    for row in rows:
        hits, unions = row.numerator.astype(float), row.denominator.astype(float)
        total = unions.sum(1, keepdims=True)
        size = np.where(total > 0, total, 1)
        ratio = hits.sum(1, keepdims=True) / size
        scaled = ratio * unions + (hits - ratio * unions) / np.sqrt(np.maximum(1 - unions / size, 0.1))
        sums, below = (np.einsum("rn,snk->srk", counts, array, optimize=True) for array in (scaled, unions))
        ratios = np.where(below > 0, sums / np.where(below > 0, below, 1), ratio)
        weight = row.means[None] & (total > 0).transpose(0, 2, 1)
        scores = ratios @ (weight / np.maximum(weight.sum(1, keepdims=True), 1))  # (S, R, G)
        found.append(scores.transpose(1, 0, 2))
    return found


def widened(draws, spreads, random):
    """(R, G) draws with the error of seeds; `spreads` are pairs of variance of a mean and degrees of freedom."""
    seeds = sum(variance for variance, _ in spreads)
    if not spreads or not np.any(seeds > 0):
        return draws
    below = sum(variance**2 / freedom for variance, freedom in spreads)
    freedom = (draws.var(0) + seeds) ** 2 / np.maximum(below, 1e-30)
    added = draws + np.sqrt(seeds) * random.standard_normal((len(draws), 1))
    return draws.mean(0) + (added - draws.mean(0)) * np.sqrt(freedom / random.chisquare(freedom, draws.shape))


def verdicts(rows, *, resamples, seed=0):
    """Of each row but the first: is it better or worse than the first? Seeds of the same number are paired."""
    random = np.random.default_rng([seed, 1])
    scores = drawn(rows, resamples=resamples, seed=seed)
    p = []
    for row, found in zip(rows[1:], scores[1:], strict=True):
        pairs = [(row.point, rows[0].point)]
        if len(row.point) == len(rows[0].point):
            parts = [one - other for one, other in pairs]
        else:
            parts = [one for pair in pairs for one in pair]
        spreads = [(one.var(0, ddof=1) / len(one), len(one) - 1) for one in parts if len(one) > 1]
        draws = widened(found.mean(1) - scores[0].mean(1), spreads, random)[:, 0]
        p.append(min(1, 2 * (min((draws <= 0).sum(), (draws >= 0).sum()) + 1) / (len(draws) + 1)))
    return holm(np.array(p)) < 0.05


def holm(p):
    order = np.argsort(p)
    steps = (len(p) - np.arange(len(p))) * p[order]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted

from functools import partial

import pytest
import torch

from src.scoring import fusion
from src.scoring.fusion import boundary, fill, maximum, mean, product

OPTIONS = {"mean": {"weight": 0.5}, "boundary": {"radius": 5}, "fill": {"background": 0}}
RULES = {name: partial(fusion.RULES[name], **OPTIONS.get(name, {})) for name in fusion.RULES.names}


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(2, 4, 9, 11, generator=generator).softmax(1) for _ in range(2))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_fusing_a_prediction_with_itself_changes_nothing(rule, pair):
    before, _ = pair
    assert (rule(before, before) == before.argmax(1)).all()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_batch_is_its_images(rule, pair):
    before, after = pair
    assert (rule(before, after)[1] == rule(before[1], after[1])).all()


def test_mean_runs_from_the_network_to_the_crf(pair):
    before, after = pair
    assert (mean(before, after, weight=0.0) == before.argmax(1)).all()
    assert (mean(before, after, weight=1.0) == after.argmax(1)).all()


def test_product_and_max_by_hand():
    before, after = torch.tensor([0.5, 0.45, 0.05]), torch.tensor([0.05, 0.35, 0.6])
    before, after = before[:, None, None], after[:, None, None]
    assert product(before, after).item() == 1
    assert maximum(before, after).item() == 2


def test_fill_keeps_the_network_exactly_where_the_crf_says_background(pair):
    before, after = pair
    background = after.argmax(1) == 0
    fused = fill(before, after, background=0)
    assert (fused[background] == before.argmax(1)[background]).all()
    assert (fused[~background] == after.argmax(1)[~background]).all()


def test_boundary_takes_the_crf_within_the_radius_of_an_edge():
    columns = torch.arange(20)
    before = torch.nn.functional.one_hot((columns >= 10).long(), 3).T[:, None, :].float()  # edge between 9 and 10
    after = torch.tensor([0.0, 0.0, 1.0])[:, None, None].expand(3, 1, 20)
    fused = boundary(before, after, radius=2)[0]
    assert (fused == 2).nonzero().flatten().tolist() == [7, 8, 9, 10, 11, 12]

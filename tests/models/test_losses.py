import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from src.core.errors import InputError
from src.models import tables
from src.models.losses import Combined, CrossEntropy, Focal, cross_entropy, dice_loss, focal_loss

CONFIGS = sorted((Path(__file__).parents[2] / "conf" / "loss").glob("*.yaml"))
WEIGHTS = torch.tensor([0.2, 1.0, 0.0, 3.0, 0.5])

VOID = 255


def focal_weighted(logits: Tensor, target: Tensor) -> Tensor:
    return focal_loss(logits, target, gamma=2.0, class_weights=WEIGHTS)


LOSSES = [cross_entropy, focal_weighted, dice_loss]


def batch(*, void: float = 0.2, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(2, 5, 6, 7, generator=generator, dtype=dtype)
    target = torch.randint(0, 4, (2, 6, 7), generator=generator)  # class 4 is absent
    target[torch.rand(2, 6, 7, generator=generator) < void] = VOID
    return logits.requires_grad_(), target


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_is_torchs_and_focal_at_gamma_0(weights: Tensor | None) -> None:
    logits, target = batch()
    expected = F.cross_entropy(logits, target, weight=weights, ignore_index=VOID)
    torch.testing.assert_close(cross_entropy(logits, target, class_weights=weights), expected)
    torch.testing.assert_close(focal_loss(logits, target, gamma=0.0, class_weights=weights), expected)


def test_focal_against_numpy() -> None:
    logits, target = batch()
    x, t = logits.detach().double().numpy(), target.numpy()
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    p_t = np.stack([p[b, t[b, i, j], i, j] for b, i, j in zip(*np.nonzero(t != VOID), strict=True)])
    expected = np.mean(-((1 - p_t) ** 1.5) * np.log(p_t))
    assert focal_loss(logits, target, gamma=1.5).item() == pytest.approx(expected, rel=1e-5)


def test_dice_against_numpy() -> None:
    logits, target = batch()
    x, t = logits.detach().double().numpy(), target.numpy()
    p = (np.exp(x) / np.exp(x).sum(1, keepdims=True)).transpose(1, 0, 2, 3)[:, t != VOID]  # (C, pixels)
    t = t[t != VOID]
    dice = [2 * p[c][t == c].sum() / (p[c].sum() + (t == c).sum()) for c in np.unique(t)]
    assert dice_loss(logits, target).item() == pytest.approx(1 - np.mean(dice), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_void_counts_as_if_cropped_away(loss) -> None:
    logits, target = batch()
    target[:, :, 4:] = VOID
    torch.testing.assert_close(loss(logits, target), loss(logits[..., :4], target[..., :4]))


@pytest.mark.parametrize("loss", LOSSES)
def test_all_void_is_zero_with_gradients(loss) -> None:
    logits, target = batch(void=1.1)
    value = loss(logits, target)
    value.backward()
    assert value.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_only_classes_of_weight_0_is_zero_with_gradients() -> None:
    logits, target = batch()
    value = focal_weighted(logits, target.where(target == VOID, 2))
    value.backward()
    assert value.item() == 0 and not logits.grad.any()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_gradient_is_finite_for_certain_and_for_hopeless_pixels(gamma: float) -> None:
    logits = torch.tensor([200.0, -200.0]).repeat(1, 1, 2, 1).permute(0, 3, 1, 2).requires_grad_()  # (1, 2, 1, 2)
    loss = focal_loss(logits, torch.tensor([[[0, 1]]]), gamma=gamma)  # p_t = 1 and p_t = 0
    loss.backward()
    assert loss.item() == pytest.approx(200)
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients(loss) -> None:
    logits, target = batch(dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits, fast_mode=True)


@pytest.mark.parametrize("loss", LOSSES)
def test_float32_inside_autocast(loss) -> None:
    logits, target = batch()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(logits.bfloat16(), target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.bfloat16().float(), target))


def test_combined_is_the_weighted_sum() -> None:
    logits, target = batch()
    plain = {"name": "cross_entropy", "class_weights": None}
    terms = {"pop": {"weight": 0.75, "loss": plain}, "dice": {"weight": 0.25, "loss": {"name": "dice"}}}
    values = Combined(terms)(logits, target)
    assert list(values) == ["loss", "pop", "dice"]
    torch.testing.assert_close(values["loss"], 0.75 * values["pop"] + 0.25 * values["dice"])
    torch.testing.assert_close(values["dice"], dice_loss(logits, target))


def test_bad_input_names_the_key() -> None:
    logits, target = batch()
    with pytest.raises(InputError, match=r"loss\.gamma=-1"):
        Focal(-1, None)
    with pytest.raises(InputError, match=r"class_weights has 2 values.*each of 5"):
        CrossEntropy([1, 2])(logits, target)
    with pytest.raises(InputError, match="finite numbers"):
        CrossEntropy([1, -2])
    with pytest.raises(InputError, match=r"loss\.terms\.dice"):
        Combined({"dice": {"weight": -1, "loss": {"name": "dice"}}})
    with pytest.raises(InputError, match="empty"):
        Combined({})
    with pytest.raises(ValueError, match="differ in batch or size"):
        dice_loss(logits, target[:, :3])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_builds(path: Path) -> None:
    config = OmegaConf.to_container(OmegaConf.load(path))
    assert config["name"] == path.stem
    logits, target = batch()
    value = tables.LOSSES.make(config)(logits, target)["loss"]
    value.backward()
    assert value.ndim == 0 and logits.grad.any()


VOID_SHARES = (0.1, 0.9, 1.1)  # of the images of three processes; the last has no label at all


def every_loss() -> list[nn.Module]:
    configs = [OmegaConf.to_container(OmegaConf.load(path)) for path in CONFIGS]
    return [*map(tables.LOSSES.make, configs), Focal(2.0, WEIGHTS.tolist())]


def images_of(*ranks: int) -> tuple[Tensor, Tensor]:
    """The images and targets of some of the processes, two each."""
    images = [torch.randn(2, 3, 6, 7, generator=torch.Generator().manual_seed(rank)) for rank in ranks]
    return torch.cat(images), torch.cat([batch(void=VOID_SHARES[rank])[1].roll(rank, 2) for rank in ranks])


def steps(net: nn.Module, images: Tensor, target: Tensor, *, training: bool = True) -> list[list[float]]:
    """Per loss its value and, behind it, the gradient."""
    found = []
    for loss in every_loss():
        net.zero_grad()
        value = loss.train(training)(net(images), target)["loss"]
        value.backward()
        found.append([value.item(), *torch.cat([p.grad.flatten() for p in net.parameters()]).tolist()])
    return found


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(3, 5, 1)


def one_of_several(rank: int, rendezvous: str) -> list[list[float]]:
    """The steps of a process; then only the first one validates, which must not wait for the others."""
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", world_size=len(VOID_SHARES), rank=rank)
    found = steps(DistributedDataParallel(network()), *images_of(rank))
    if rank == 0:
        found += steps(network(), *images_of(rank), training=False)
    dist.destroy_process_group()
    return found


@pytest.mark.slow
def test_processes_train_with_the_loss_of_one_and_validate_alone(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ranks = range(len(VOID_SHARES))
    with ProcessPoolExecutor(len(ranks), mp_context=context) as pool:
        started = [pool.submit(one_of_several, rank, str(tmp_path / "rendezvous")) for rank in ranks]
        first, *others = [process.result(timeout=60) for process in started]
    whole = steps(network(), *images_of(*ranks))
    for found in (first[: len(whole)], *others):
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-6)
    np.testing.assert_allclose(first[len(whole) :], steps(network(), *images_of(0), training=False), rtol=0, atol=1e-6)

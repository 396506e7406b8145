import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from src.core.errors import InputError
from src.data import transforms
from src.data.transforms import Augment, evaluation_sample, ready

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


def augment(**changes):
    options = {"crop": 32, "scale": (0.5, 2.0), "flip": 0.5, "jitter": STILL, "squash": False, "void": 255}
    return Augment(**{**options, **changes})


def draw(transform, rgb, mask, seed=0):
    return transform(rgb, mask, torch.Generator().manual_seed(seed))


@pytest.fixture
def coded():
    """An image whose red channel is ten times its label, so that image and mask can be held against each other."""
    mask = np.repeat(np.arange(8, dtype=np.uint8), 8)[None].repeat(48, 0)  # (48, 64), vertical stripes
    return np.stack([10 * mask] * 3, -1), mask


@pytest.mark.parametrize("seed", range(5))
def test_image_and_mask_move_together(coded, seed):
    sample = draw(augment(scale=(1.0, 1.0)), *coded, seed)
    assert sample["rgb"].shape == (32, 32, 3) and sample["mask"].dtype == torch.uint8
    assert (sample["rgb"][..., 0] == 10 * sample["mask"]).all()


def test_the_same_key_draws_the_same_sample(coded):
    transform = augment(jitter={"brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.1})
    first, again, other = (draw(transform, *coded, seed) for seed in (3, 3, 4))
    assert (first["rgb"] == again["rgb"]).all() and (first["mask"] == again["mask"]).all()
    assert not (first["rgb"] == other["rgb"]).all()


def test_augmentation_leaves_the_global_random_state_alone(coded):
    before = torch.get_rng_state()
    draw(augment(jitter={"brightness": 0.5, "contrast": 0, "saturation": 0, "hue": 0}), *coded)
    assert (torch.get_rng_state() == before).all()


def test_beyond_the_image_the_mask_is_void_and_the_image_neutral(coded):
    sample = draw(augment(crop=100, scale=(1.0, 1.0), flip=0), *coded)
    assert (sample["mask"][48:] == 255).all() and (sample["mask"][:48, :64] != 255).all()
    images = ready({"rgb": sample["rgb"][None], "mask": sample["mask"][None]}, **IMAGENET, channels_last=True)["image"]
    assert images[0, :, 48:].abs().max() < 0.02


def test_crops_without_labels_are_drawn_again():
    mask = np.full((64, 64), 255, dtype=np.uint8)
    mask[:, 20:44] = 1  # a crop of 16 px misses it in about half of the draws
    rgb = np.zeros((64, 64, 3), dtype=np.uint8)
    found = [(draw(augment(crop=16, scale=(1.0, 1.0)), rgb, mask, s)["mask"] != 255).any() for s in range(60)]
    assert all(found)


def test_an_image_without_any_label_still_gives_a_sample():
    sample = draw(augment(), np.zeros((40, 40, 3), np.uint8), np.full((40, 40), 255, np.uint8))
    assert (sample["mask"] == 255).all()


def test_evaluation_keeps_every_pixel(coded):
    rgb, mask = coded
    sample = evaluation_sample(rgb, mask, "voc")
    assert (sample["rgb"].numpy() == rgb).all() and (sample["mask"].numpy() == mask).all()
    sample["rgb"][...] = 0
    assert rgb.any()  # a copy: nothing can write through the sample


def test_the_squashed_protocol_resizes_both(coded):
    sample = evaluation_sample(*coded, "squash224")
    assert sample["rgb"].shape == (224, 224, 3) and sample["mask"].shape == (224, 224)


def test_a_scale_that_falls_is_refused():
    with pytest.raises(InputError, match="scale"):
        augment(scale=(2.0, 0.5))


def picture(height=40, width=56):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("layout", [True, False])
def test_the_networks_input_is_torchvisions(layout):
    rgb, mask = torch.from_numpy(picture())[None], torch.full((1, 40, 56), 255, dtype=torch.uint8)
    made = ready({"rgb": rgb, "mask": mask, "id": ["a"]}, **IMAGENET, channels_last=layout)
    expected = v2.functional.normalize(rgb[0].permute(2, 0, 1) / 255.0, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(made["image"][0], expected)
    assert made["image"].is_contiguous(memory_format=torch.channels_last if layout else torch.contiguous_format)
    assert made["mask"].dtype == torch.int64 and made["id"] == ["a"] and (made["rgb"] == rgb).all()


@pytest.mark.parametrize(("height", "width"), [(20, 30), (75, 90), (40, 56), (1, 1)])
def test_resizing_is_torchvisions(height, width):
    rgb, mask = picture(), picture()[..., 0].copy()
    image, labels = transforms._resize(rgb, mask, height, width)
    resize = v2.functional.resize
    wanted = resize(torch.from_numpy(rgb).permute(2, 0, 1), [height, width], antialias=True).permute(1, 2, 0)
    nearest = resize(torch.from_numpy(mask)[None], [height, width], interpolation=v2.InterpolationMode.NEAREST_EXACT)[0]
    assert np.abs(image.astype(int) - wanted.numpy()).max() <= 1
    assert (labels == nearest.numpy()).mean() > 0.95  # the two round a tie to either side


@pytest.mark.parametrize(
    ("name", "amount", "within"),
    [("brightness", 1.3, 1), ("contrast", 0.6, 1), ("saturation", 1.4, 2), ("hue", 0.1, 12)],
)
def test_jitter_is_torchvisions(name, amount, within):
    """Up to rounding; the hue's circle has 256 steps."""
    rgb = picture()
    wanted = getattr(v2.functional, f"adjust_{name}")(torch.from_numpy(rgb).permute(2, 0, 1), amount).permute(1, 2, 0)
    found = getattr(transforms, f"adjust_{name}")(rgb, amount)
    assert np.abs(found.astype(int) - wanted.numpy()).max() <= within
    assert found.dtype == np.uint8 and not (found == rgb).all()

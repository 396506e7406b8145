"""The cache gives what the folder gives, to whoever asks, and keeps no more than it may."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from src.core import processes
from src.data.cache import PixelCache
from src.data.datasets import EpochSampler, EvalSet
from src.data.files.folder import ImageFolder
from src.data.sources.shapes.dataset import prepare
from src.data.sources.voc import voc_folder


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return voc_folder(prepare(tmp_path_factory.mktemp("data"), seed=0, train=6, val=3, height=64, width=64))


def equal(one, other):
    return all((a == b).all() and a.dtype == b.dtype for a, b in zip(one, other, strict=True))


def test_gives_what_the_folder_gives_and_reads_it_once(shapes, monkeypatch):
    ids = shapes.ids("train")
    cache = PixelCache(shapes, ids, limit=10**7)
    first = [cache.read_pair(image_id) for image_id in ids]
    monkeypatch.setattr(ImageFolder, "read_pair", None)
    for image_id, pair in zip(ids, first, strict=True):
        again = cache.read_pair(image_id)
        assert equal(pair, again)
        again[0][...] = 0  # the caller's own
        assert equal(pair, cache.read_pair(image_id))


def test_keeps_no_more_than_it_may(shapes):
    ids = shapes.ids("train")
    size = 4 * shapes.read_pair(ids[0])[1].size
    cache = PixelCache(shapes, ids, limit=int(2.5 * size))
    pairs = [cache.read_pair(image_id) for image_id in ids * 2]
    assert 0 < cache.used <= 2.5 * size and "trainer.cache" in str(cache)
    assert all(equal(pair, shapes.read_pair(image_id)) for pair, image_id in zip(pairs, ids * 2, strict=True))


def test_forked_workers_fill_it_for_all(shapes):
    ids = shapes.ids("train")
    cache = PixelCache(shapes, ids, limit=10**7)
    loader = DataLoader(EvalSet(cache, ids, "voc"), batch_size=1, num_workers=2, multiprocessing_context="fork")
    seen = {sample["id"][0]: (sample["rgb"][0].numpy(), sample["mask"][0].numpy()) for sample in loader}
    assert cache.used == sum(4 * mask.size for _, mask in seen.values())
    assert all(equal(cache.read_pair(image_id), pair) for image_id, pair in seen.items())


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_batches_are_the_same_however_many_processes_share_them(count, monkeypatch):
    whole = np.array([index for _, index in EpochSampler(23, batch_size=8, seed=3, epoch=lambda: 5)]).reshape(2, 8)
    monkeypatch.setattr(processes, "count", lambda: count)
    shares = []
    for rank in range(count):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        sampler = EpochSampler(23, batch_size=8, seed=3, epoch=lambda: 5)
        pairs = list(sampler)
        assert len(pairs) == len(sampler) and {epoch for epoch, _ in pairs} == {5}
        shares.append(torch.tensor([index for _, index in pairs]).reshape(2, -1))
    assert (torch.cat(shares, dim=1).numpy() == whole).all()

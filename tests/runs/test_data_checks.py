"""What the group `data` may hold is known before torch is imported and before anything is made or fetched."""

import copy

import pytest
from omegaconf import OmegaConf

from src.core.errors import InputError
from src.runs.checks.commands import check_data_set
from tests.conftest import config


@pytest.fixture(scope="module")
def composed():
    return {name: config(f"data={name}") for name in ("shapes", "voc2012", "voc2012_aug")}


@pytest.mark.parametrize(
    ("name", "key", "value", "says"),
    [
        ("shapes", "prepare.train", 10**9, "must be a whole number from 1 to 1,000,000"),
        ("shapes", "prepare.val", 0, "must be a whole number from 1 to"),
        ("shapes", "prepare.height", 1000000, "must be a whole number from 64 to 4,096"),
        ("shapes", "prepare.width", True, "must be a whole number"),
        ("shapes", "prepare.width", 64.5, "must be a whole number"),
        ("shapes", "prepare.seed", -1, "must be a whole number from 0 to 9,223,372,036,854,775,807"),
        ("shapes", "prepare.seed", "x", "must be a whole number"),
        ("shapes", "prepare.sead", 1, "shapes takes seed, train, val, height, width"),
        ("shapes", "prepare", None, "must have keys"),
        ("voc2012", "prepare.url", "ftp", "must be the address of a file"),
        ("voc2012", "prepare.url", "https://host/", "must be the address of a file"),
        ("voc2012", "prepare.url", None, "must be the address of a file"),
        ("voc2012", "prepare.md5", "12", "must be an MD5 checksum"),
        ("voc2012", "prepare.md5", 6, "must be an MD5 checksum"),
        ("voc2012", "prepare.download", "maybe", "must be true or false"),
        ("voc2012_aug", "prepare.expected", "many", "must be a whole number"),
        ("voc2012", "expected", 3, "must have keys"),
        ("voc2012", "expected.train", "x", "must be a whole number"),
        ("voc2012", "expected.test", 3, "not one of train, val"),
        ("voc2012", "root", None, "must be a path"),
        ("voc2012", "root", [1], "must be a path"),
        ("voc2012", "root", "", "must be a path"),
        ("voc2012", "root", "a\0b", "must be a path"),
        ("voc2012", "val_list", None, "give ids, a pattern of ids, or a share"),
        ("voc2012", "val_list", 2012, "must be a path .one that is a number begins"),
        ("voc2012", "val_limit", 0, "must be a whole number"),
        ("voc2012", "trainlist", "x", "there is no such key; valid: name, source"),
    ],
)
def test_a_wrong_value_is_named(composed, name, key, value, says):
    settled = copy.deepcopy(composed[name])
    OmegaConf.update(settled, f"data.{key}", value, force_add=True, merge=False)
    with pytest.raises(InputError, match=rf"data.*{says}") as error:
        check_data_set(settled)
    assert key.rpartition(".")[2] in str(error.value)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("shapes", "prepare.train", 10**6),
        ("shapes", "prepare.seed", 2**63 - 1),
        ("voc2012", "expected", None),
        ("voc2012", "expected.train", None),
        ("voc2012", "prepare.url", "file:///archives/voc.tar?x=1"),
        ("voc2012_aug", "root", "/not/yet/there"),
    ],
)
def test_a_right_value_is_taken(composed, name, key, value):
    settled = copy.deepcopy(composed[name])
    OmegaConf.update(settled, f"data.{key}", value, force_add=True, merge=False)
    check_data_set(settled)

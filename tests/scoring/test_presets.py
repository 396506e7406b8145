import pytest
from omegaconf import OmegaConf

from src.core.compose import register
from src.core.errors import InputError
from src.scoring import presets
from tests.conftest import config

PRESET = (presets.FOLDER / "deeplabv2.yaml").read_text()


def test_a_path_becomes_a_choice_of_its_own(tmp_path):
    own = tmp_path / "deeplabv2.yaml"  # the name of another preset
    own.write_text(PRESET.replace("iterations: 10", "iterations: 3"))
    word, other = register([f"crf={own}", "data=shapes"])
    assert other == "data=shapes" and word.startswith("crf=deeplabv2_")
    assert register([f"crf=krahenbuhl2011,{own}"]) == [f"crf=krahenbuhl2011,{word[4:]}"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PRESET.replace("spatial_sigma: 1", ""), "lacks spatial_sigma"),
        (PRESET + "\ntemperature: 3\n", "temperature is not part"),
        ("[1, 2]", "`key: value` lines"),
        ("a: {", "cannot be read as YAML"),
    ],
    ids=["missing", "unknown", "list", "broken"],
)
def test_a_file_that_is_no_preset_is_named(tmp_path, content, message):
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(InputError, match=message) as error:
        presets.read(str(tmp_path / "mine.yaml"))
    assert "mine.yaml" in str(error.value)


def test_a_missing_preset_tells_which_there_are():
    with pytest.raises(InputError, match=r"crf=nothing: .* the presets are deeplabv2, krahenbuhl2011"):
        presets.read("nothing")


def test_a_product_is_every_combination():
    fusion = {"alone": {}, "mean": {"weight": 0.5}}
    product = {"crf": ["deeplabv2", "krahenbuhl2011"], "guidance": ["raw", "normalized"], "fusion": fusion}
    found = presets.expand(OmegaConf.create({"none": {}, "product": product}))
    assert len(found) == 1 + 8
    variant = found.krahenbuhl2011_normalized_mean
    assert (variant.guidance, variant.fusion, variant.options) == ("normalized", "mean", {"weight": 0.5})
    assert variant.crf.bilateral_weight == 10 and "fusion" not in found.deeplabv2_raw


def test_images_that_a_preset_was_tuned_on_are_known():
    tuned = {"name": "mine", "tuned": {"ids": ["a", "b"]}}
    config = OmegaConf.create({"crf": {"name": "plain", "tuned": None}, "variants": {"x": {"crf": tuned}, "none": {}}})
    assert presets.tuned_on(config) == {"mine": frozenset("ab")}


def test_a_file_may_leave_out_what_is_no_parameter(tmp_path):
    lines = [line for line in PRESET.splitlines() if not line.startswith(("engine:", "tuned:", "name:"))]
    (tmp_path / "mine.yaml").write_text("\n".join(lines))
    (word,) = register([f"crf={tmp_path / 'mine.yaml'}"])
    crf = config(word).crf
    assert (crf.name, crf.engine, crf.tuned) == ("mine", "auto", None)

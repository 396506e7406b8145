"""The error browser: which pictures it finds, what it says of the others, and the page in a real browser."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from src.core.errors import InputError
from src.reporting.output.images.browser import LIST, PAGE, browser
from src.reporting.output.images.drawn import read_panel
from src.reporting.panels import GAP, LAYOUT, WIDTH, as_png, panel
from src.scoring.metrics import image_miou
from tests.browser import chromium, needs_browser
from tests.conftest import warm_run as run
from tests.reporting.conftest import VOC, make_run, table_of

CHOOSE = """
const one = document.getElementById(arguments[0]);
one[one.type === "checkbox" ? "checked" : "value"] = arguments[1];
one.dispatchEvent(new Event("change"));
"""
LOADED = """
const [where, done] = arguments, images = [...document.querySelectorAll(where)];
Promise.all(images.map((one) => one.decode().then(() => one.naturalWidth))).then(done);
"""
VARIANTS = {"none": 0.8, "crf_raw": 0.85}
RGB = np.full((40, 60, 3), 120, np.uint8)
RGB[:, :30] = 30, 200, 30
TRUTH = np.repeat(np.array([[1, 0]], np.uint8), 30, 1).repeat(40, 0)


def draw(folder, ids, variants=("none", "crf_raw")):
    """Panels: the network calls all of it class 2, the CRF class 3."""
    folder.panels.mkdir(parents=True, exist_ok=True)
    labels = {name: np.full_like(TRUTH, 2 + k) for k, name in enumerate(variants)}
    for image_id in ids:
        (folder.panels / f"{image_id}.png").write_bytes(as_png(panel(RGB, TRUTH, labels, VOC), labels))


def data_of(files):
    text = re.search(r'id="data">(.*?)</script>', files[PAGE].decode(), re.DOTALL)[1]
    return json.loads(text)


def worst_first(table):
    counts = table.counts[id(table.rows[0].done[0])]
    return [counts.ids[k] for k in np.argsort(image_miou(counts.margins["none"]), kind="stable")]


def test_numbers_are_those_of_each_image_and_only_what_is_drawn_has_a_picture(tmp_path):
    folder = make_run(tmp_path / "a", variants=VARIANTS)
    folder.best.touch()
    table = table_of(folder.path)
    order = worst_first(table)
    draw(folder, order[1:3])
    found = browser(table, 3, tmp_path / "report")

    data = data_of(found.files)
    images = {image["id"]: image for image in data["images"]}
    counts = table.counts[id(table.rows[0].done[0])]
    matrix = np.load(folder.confusion)["crf_raw"][0].astype(float)
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    iou = {str(c): round(100 * matrix[c, c] / union[c], 2) for c in np.flatnonzero(union)}
    assert {c: rows[1] for c, rows in images[counts.ids[0]]["iou"].items()} == iou
    assert images[counts.ids[0]]["miou"][1] == pytest.approx(np.mean([*iou.values()]), abs=0.01)
    assert {image_id for image_id, image in images.items() if "thumb" in image} == {*order[1:3]}
    assert found.files[LIST].decode().split() == order[:3]
    assert found.said[1].endswith(f"python -m src.evaluate run={folder.path} panels={tmp_path / 'report' / LIST}")
    assert "no panels of 1 of the 3 worst images" in found.said[1]


def test_a_baseline_that_is_not_done_takes_no_page_away(tmp_path):
    for name in ("dice", "focal"):
        make_run(tmp_path / name, loss=name)
    (tmp_path / "dice" / "results.json").unlink()
    data = data_of(browser(table_of(tmp_path, baseline="dice"), 3, tmp_path / "report").files)
    assert data["rows"] == ["focal"] and data["baseline"] == 0


def test_a_column_holds_the_pixels_of_its_variant(tmp_path):
    folder = make_run(tmp_path / "a", variants=VARIANTS)
    table = table_of(folder.path)
    draw(folder, worst_first(table)[:1])
    found = browser(table, 1, tmp_path / "report")
    image = next(one for one in data_of(found.files)["images"] if "thumb" in one)
    colours = []
    for name, place in [image["image"], *image["columns"]]:
        (tmp_path / "picture.webp").write_bytes(found.files[name])
        with Image.open(tmp_path / "picture.webp") as strip:
            assert strip.height == image["height"]
            colours.append(strip.getpixel((place * WIDTH + 50, 100)))
    expected = [(30, 200, 30), *(0.7 * VOC.palette[label] + 0.3 * np.mean([30, 200, 30]) for label in (2, 3))]
    for colour, wanted in zip(colours, expected, strict=True):
        np.testing.assert_allclose(colour, wanted, atol=12)  # WebP loses a little


def test_panels_of_an_evaluation_count_if_it_asks_the_same(tmp_path):
    folder = make_run(tmp_path / "a", variants=VARIANTS)
    same = make_run(folder.path / "evaluations" / "same", variants=VARIANTS)
    other = make_run(folder.path / "evaluations" / "other", variants=VARIANTS)
    other.config.write_text(other.config.read_text().replace("deeplabv2", "krahenbuhl2011"))
    table = table_of(folder.path)
    first, second = worst_first(table)[:2]
    draw(same, [first])
    draw(other, [second])
    images = {image["id"]: image for image in data_of(browser(table, 2, tmp_path).files)["images"]}
    assert "thumb" in images[first] and "thumb" not in images[second]


def test_what_cannot_be_drawn_by_a_command_is_said(tmp_path):
    folder = make_run(tmp_path / "a", variants=VARIANTS)
    assert f"{folder.best} is missing; where it is" in browser(table_of(folder.path), 3, tmp_path).said[1]
    results = json.loads(folder.results.read_text())
    folder.results.write_text(json.dumps({**results, "source": "logits"}))
    assert (
        "python -m src.evaluate with the words that scored it, and panels="
        in browser(table_of(folder.path), 3, tmp_path).said[1]
    )


def test_names_of_strangers_end_no_script(tmp_path):
    folder = make_run(tmp_path / "a")
    table = table_of(folder.path)
    counts = table.counts[id(table.rows[0].done[0])]
    counts.ids[0] = "</script><img src=x onerror=alert(1)>"
    text = browser(table, 1, tmp_path).files[PAGE].decode()
    assert "<img src=x" not in text and counts.ids[0] in {
        image["id"] for image in data_of({PAGE: text.encode()})["images"]
    }


def test_an_older_panel_is_not_shown_and_a_broken_one_is_named(tmp_path):
    path = tmp_path / "image.png"
    Image.new("RGB", (20, 20)).save(path)
    assert read_panel(path) is None
    width = GAP + 2 * (WIDTH + GAP)
    for size, text in [
        ((20, 20), '{"variants": ["none"], "height": 5}'),
        ((width, 40), '{"variants": ["none"], "height": 100000}'),
        ((width, 400), '{"variants": ["none"], "height": 0}'),
        ((width, 400), "[" * 10_000),
        ((width, 400), '{"variants": 5, "height": 5}'),
    ]:
        info = PngInfo()
        info.add_text(LAYOUT, text)
        Image.new("RGB", size).save(path, pnginfo=info)
        with pytest.raises(InputError, match=r"image\.png does not have the columns"):
            read_panel(path)
    path.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"image\.png is not a PNG picture: delete it"):
        read_panel(path)
    draw(make_run(tmp_path / "a"), ["image0"], ["none"])
    whole = (tmp_path / "a" / "panels" / "image0.png").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"image\.png is damaged: delete it"):
        read_panel(path).columns([0])


@pytest.fixture
def report(tmp_path):
    """Of two networks, of which one is drawn."""
    one = make_run(tmp_path / "runs" / "one", loss="focal", variants=VARIANTS, images=80)
    make_run(tmp_path / "runs" / "two", loss="dice", variants={"none": 0.9}, images=80).best.touch()
    draw(one, worst_first(table_of(one.path))[:5])
    words = [f"runs={tmp_path / 'runs'}", "output=report", "resamples=100", "baseline='focal / none'", "images=worst:5"]
    done = run("report", *words, cwd=tmp_path, torch=False)
    assert "5 of 80 images have pictures" in done.stdout.replace("\n", " ")
    return tmp_path / "report"


def test_a_report_without_images_removes_those_of_an_earlier_one(report):
    pictures = {path.name for path in (report / "images").iterdir()}
    assert len(pictures) == 10  # a thumbnail and a strip each
    (report / "images" / "mine.webp").touch()
    text = (report / PAGE).read_text()
    assert not re.findall(r"https?:|//[a-z]", text.replace("http://www.w3.org", ""))
    run("report", f"runs={report.parent / 'runs'}", "output=report", "resamples=100", cwd=report.parent, torch=False)
    assert not (report / PAGE).exists() and not (report / LIST).exists()
    assert [path.name for path in (report / "images").iterdir()] == ["mine.webp"]


@needs_browser
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_images_are_sorted_and_looked_at_in_a_browser(report):
    browser = chromium()
    images = data_of({PAGE: (report / PAGE).read_bytes()})["images"]
    rows = {name: k for k, name in enumerate(data_of({PAGE: (report / PAGE).read_bytes()})["rows"])}
    focal, crf, dice = rows["focal / none"], rows["focal / crf_raw"], rows["dice / none"]

    def ids():
        return browser.execute_script(
            "return [...document.querySelectorAll('.tile .id')].map((one) => one.textContent)"
        )

    def choose(**values):
        for name, value in values.items():
            browser.execute_script(CHOOSE, name, value)

    def by(value, chosen=images):
        return [image["id"] for image in sorted(chosen, key=lambda image: (value(image), image["id"]))]

    try:
        browser.set_window_size(1280, 900)
        browser.get((report / "index.html").as_uri())
        browser.find_element("css selector", "#images a").click()
        assert ids() == by(lambda image: image["miou"][focal], [image for image in images if "thumb" in image])
        assert browser.execute_async_script(LOADED, "img") == [250] * 5

        choose(drawn=False)
        assert ids() == by(lambda image: image["miou"][focal])[:60]
        browser.find_element("id", "more").click()
        assert len(ids()) == 80
        choose(other=str(dice))  # sorts by the difference
        assert ids() == by(lambda image: image["miou"][focal] - image["miou"][dice])[:60]
        some = [image for image in images if "3" in image["iou"]]
        choose(score="3", key="own", direction="-1")
        assert len(some) == 16 and ids() == by(lambda image: image["iou"]["3"][focal], some)[::-1]

        choose(score="", drawn=True, other=str(crf), direction="1")
        browser.find_element("css selector", ".tile").click()
        captions = (
            "return [...document.querySelectorAll('#columns figcaption')].map((one) => one.textContent.split(':')[0])"
        )
        assert browser.execute_script(captions) == ["image, and the truth", "focal / none", "focal / crf_raw"]
        assert len(browser.execute_async_script(LOADED, "#columns img")) == 3
        browser.find_element("id", "all").click()
        assert len(browser.execute_script(captions)) == 4
        assert browser.execute_script("return document.querySelectorAll('#columns .none').length") == 1  # dice
        before = browser.find_element("id", "title").text
        browser.find_element("id", "after").click()
        assert browser.find_element("id", "title").text == ids()[1] != before == ids()[0]

        command = {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", command)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    finally:
        browser.quit()

"""The page in a real browser: it opens from this machine alone, takes a picture, and shows what `src.predict` says."""

import json
import time

import numpy as np
import pytest

from tests.conftest import HANGS
from tests.evaluation.page.conftest import needs_browser, needs_gradio
from tests.evaluation.page.test_server import VARIANTS, noise, pixels, predicted

pytestmark = [
    needs_gradio,
    needs_browser,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ANSWERS = "return Number((document.querySelector('.answer') || {dataset: {}}).dataset.answers || 0)"
HOVER = """
const [k, x, y] = arguments, stage = document.querySelectorAll(".answer .stage")[k];
stage.scrollIntoView();
const frame = stage.getBoundingClientRect();
const [clientX, clientY] = [frame.left + x * frame.width, frame.top + y * frame.height];
stage.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, bubbles: true }));
return [...document.querySelectorAll(".answer .said")].map((one) => one.textContent);
"""


def wait(browser, script, wanted):
    until = time.monotonic() + HANGS
    while not wanted(found := browser.execute_script(script)):
        assert time.monotonic() < until, found
        time.sleep(0.1)
    return found


def opened(browser, page):
    browser.get(page)
    wait(browser, "return document.querySelectorAll('.thumbnails button').length", lambda count: count == 2)


def shown(browser, act):
    """Do something, and wait for the page's next answer."""
    before = browser.execute_script(ANSWERS)
    act()
    wait(browser, ANSWERS, lambda count: count > before)


def send(browser, path):
    shown(browser, lambda: browser.find_element("css selector", "input[type=file]").send_keys(str(path)))


def complaints(browser):
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]  # Gradio itself warns a little


def test_an_upload_shows_the_labels_of_predict_and_nothing_comes_from_elsewhere(here, page, browser):
    expected = {title: predicted(here, variant) for title, variant in VARIANTS.items()}
    opened(browser, page)
    path = next((here / "photos").iterdir())
    send(browser, path)
    files = browser.execute_script("return [...document.querySelectorAll('.answer a.file')].map((one) => one.href)")
    wanted = [expected[title][path.stem] for title in VARIANTS]
    for file, labels in zip(files, wanted, strict=True):
        assert (pixels(file) == labels).all()
    names = browser.execute_script("return [...document.querySelectorAll('.legend .entry')].map((b) => b.textContent)")
    assert len(names) == len({*np.unique(np.stack(wanted))})
    height, width = wanted[0].shape
    for x, y in ((3, 5), (40, 30), (width - 2, height - 1)):
        said = browser.execute_script(HOVER, 0, (x + 0.5) / width, (y + 0.5) / height)
        assert said[0] == f"{x}, {y}" and len(said) == 4
        order = [np.unique(np.stack(wanted)).tolist().index(labels[y, x]) for labels in wanted]
        assert said[1:] == [names[k] for k in order]

    asked = set()
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.add(message["params"]["request"]["url"])
    assert len(asked) > 3 and not [url for url in asked if not url.startswith((page, "data:", "blob:"))]
    assert complaints(browser) == []


def test_an_example_a_slider_the_differences_and_a_phone(page, browser):
    opened(browser, page)
    shown(browser, lambda: browser.execute_script("document.querySelector('.thumbnails button').click()"))
    titles = browser.execute_script("return [...document.querySelectorAll('.answer b')].map((one) => one.textContent)")
    assert titles[1:] == ["truth", "network", "CRF", "fusion"]
    red = """
    const canvas = document.querySelectorAll(".answer canvas")[1];
    const bytes = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let count = 0;
    for (let k = 0; k < bytes.length; k += 4) count += bytes[k] === 230 && bytes[k + 2] === 70 && bytes[k + 3] === 255;
    return count;
    """
    assert browser.execute_script(red) == 0
    browser.execute_script("document.querySelector('.differs').click()")
    assert browser.execute_script(red) > 100

    slide = """
    const slider = document.querySelector("input[type=range][aria-label*=iterations]");
    slider.value = 0;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    """
    files = "return [...document.querySelectorAll('.answer a.file')].map((one) => one.href)"
    before = browser.execute_script(files)
    shown(browser, lambda: browser.execute_script(slide))
    assert "network kept" in browser.execute_script("return document.querySelector('.time').textContent")
    after = browser.execute_script(files)
    assert after[0] == after[1] == before[0] != before[1]  # without an iteration the CRF is the network

    command = {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", command)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    assert complaints(browser) == []


def test_a_hostile_name_is_text_and_the_next_picture_is_shown(tmp_path, page, browser):
    opened(browser, page)
    path = tmp_path / "<img src=x onerror=document.title='gone'>.png"
    path.write_bytes(b"<script>document.title='gone'</script>")
    send(browser, path)
    assert "cannot be read" in browser.execute_script("return document.querySelector('.refused').textContent")
    assert browser.execute_script("return document.title") == "SegLab"
    good = tmp_path / "<b>good.png"
    good.write_bytes(noise(7))
    send(browser, good)
    assert browser.execute_script("return document.querySelectorAll('.answer canvas').length") == 3
    assert browser.execute_script("return document.querySelectorAll('.answer b').length") == 4
    assert complaints(browser) == []

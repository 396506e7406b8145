"""The page in a real browser."""

import re

import pytest

from src.report import main  # noqa: F401  # the command exists and imports without torch
from tests.browser import chromium, needs_browser
from tests.conftest import warm_run as run


@pytest.fixture
def report(runs):
    """The folder of a report."""
    runs = runs.rename(runs.parent / "[a,b] ${x}\\c'd")  # text to Hydra, Rich, and the list of folders
    run("report", f"runs={runs}", "output=report", "resamples=200", "baseline=focal", cwd=runs.parent)
    return runs.parent / "report"


def test_a_report_leaves_every_format(report):
    names = {path.name for path in report.iterdir()}
    assert {"index.html", "table.md", "table.csv", "table.tex", "forest.pdf", "classes.pdf", "curves.pdf"} <= names
    text = (report / "index.html").read_text()
    assert set(re.findall(r"https?://[^/\"' ]+", text)) == {"http://www.w3.org"}  # names of formats, not fetched
    assert "dice is better than focal." in text and text.count("data:image/webp") == 4


@needs_browser
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_page_works_in_a_browser_also_on_a_phone(report):
    browser = chromium()
    try:
        browser.set_window_size(1280, 900)
        browser.get((report / "index.html").as_uri())
        assert browser.execute_script("return document.title").startswith("a-b-x-c-d")

        first = "return [...document.querySelectorAll('.sortable tbody tr')].map((row) => row.cells[0].textContent)"
        click = "document.querySelectorAll('.sortable th button')[arguments[0]].click()"
        assert browser.execute_script(first) == ["dice", "focal"]
        browser.execute_script(click, 0)  # by name, descending
        assert browser.execute_script(first) == ["focal", "dice"]
        browser.execute_script(click, 2)  # by mIoU, the best first
        assert browser.execute_script(first) == ["dice", "focal"]
        browser.execute_script(click, 2)
        assert browser.execute_script(first) == ["focal", "dice"]

        images = "return [...document.images].map((i) => (i.loading = 'eager', i.decode().then(() => i.naturalWidth)))"
        widths = browser.execute_async_script(
            f"const done = arguments[0]; Promise.all((() => {{ {images} }})()).then(done)"
        )
        assert len(widths) == 4 and all(width > 0 for width in widths)

        command = {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", command)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        errors = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        assert errors == []
    finally:
        browser.quit()

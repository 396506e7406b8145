"""A real browser without a window, for the pages that the project writes or serves."""

import shutil

import pytest

CHROME, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
needs_browser = pytest.mark.skipif(not (CHROME and DRIVER), reason="no chromium with chromedriver")


def chromium(*logs):
    """A browser that keeps its own log, and those named; the caller quits it."""
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROME
    for word in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-sync"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", dict.fromkeys(("browser", *logs), "ALL"))
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.browser import chromium, needs_browser  # noqa: F401  # needs_browser: for the tests here
from tests.conftest import HANGS, ROOT, environment
from tests.evaluation.prediction.conftest import here, trained  # noqa: F401  # fixtures

PLUGIN = f"plugins={ROOT}/tests/tiny.py"
needs_gradio = pytest.mark.skipif(find_spec("gradio") is None, reason="Gradio is not installed")


class RefusedError(Exception):
    """The server's answer to a request is an error; the argument is its status."""


def fetched(request):
    try:
        with urllib.request.urlopen(request, timeout=HANGS) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        error.close()
        raise RefusedError(error.code) from None
    except urllib.error.URLError as error:  # the server has closed the connection instead of reading what is too long
        if not isinstance(error.reason, ConnectionError):
            raise
        raise RefusedError(413) from None


class Visitor:
    """A client that speaks to the server as the page's script does; one session."""

    def __init__(self, address):
        self.address, self.session = address.rstrip("/"), uuid.uuid4().hex[:10]
        self.config = json.loads(self.get("/config"))
        self.components = {one["id"]: one for one in self.config["components"]}

    def get(self, path, **headers):
        return fetched(urllib.request.Request(self.address + path, headers=headers))

    def post(self, path, data, kind, **headers):
        return json.loads(fetched(urllib.request.Request(self.address + path, data, {"Content-Type": kind} | headers)))

    def upload(self, data, name="photo.jpg"):
        """The path that the server gives to a file."""
        head = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        body = head.encode() + data + b"\r\n--b--\r\n"
        return self.post("/gradio_api/upload", body, "multipart/form-data; boundary=b")[0]

    def event(self, name):
        """The number of the function that an event calls, and the values of its inputs on a fresh page."""
        (found,) = [one for one in self.config["dependencies"] if name in [kind for _, kind in one["targets"]][:1]]
        return found["id"], [self.components[one]["props"].get("value") for one in found["inputs"]]

    def call(self, name, *values, event_data=None):
        """What an event with the first of its inputs' values gives: the outputs, or the error."""
        number, start = self.event(name)
        data = [*values, *start[len(values) :]]
        body = {"data": data, "fn_index": number, "session_hash": self.session, "event_data": event_data}
        self.post("/gradio_api/queue/join", json.dumps(body).encode(), "application/json")
        for line in self.get(f"/gradio_api/queue/data?session_hash={self.session}").decode().splitlines():
            message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if message.get("msg") == "process_completed":
                return message["output"]
        raise AssertionError("the server has not answered")

    def show(self, data, name="photo.jpg"):
        """What the page shows of an uploaded file."""
        return self.label({"path": self.upload(data, name), "meta": {"_type": "gradio.FileData"}})

    def label(self, file):
        return self.call("upload", file)["data"][1]


@contextmanager
def serving(cwd, *words, temporary):
    """The address of a page, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "src.page", *words, f"port={port}"]
    log = Path(temporary, "log.txt")
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment() | {"TMPDIR": str(temporary)}, stdout=file, stderr=file
        )
    try:
        until = time.monotonic() + HANGS
        while not (found := re.search(r"^page +(\S+)", log.read_text(), re.MULTILINE)):
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        yield found[1]
        assert process.poll() is None, log.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(HANGS)
    assert process.returncode == 0, log.read_text()


@pytest.fixture(scope="session")
def temporary(tmp_path_factory):
    """The folder for temporary files of the page's server."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="session")
def page(trained, temporary):  # noqa: F811
    """The address of a page with the tiny run."""
    with serving(trained, "run=runs/A", PLUGIN, "examples=2", "upload=1", temporary=temporary) as address:
        yield address
    assert not list(temporary.glob("seglab-page-*")), "the server's folder is there after its end"


@pytest.fixture
def visitor(page):
    return Visitor(page)


@pytest.fixture
def browser():
    browser = chromium("performance")
    try:
        browser.set_window_size(1280, 900)
        yield browser
    finally:
        browser.quit()

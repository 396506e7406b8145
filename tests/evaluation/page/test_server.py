"""What reaches the page's server, and what comes back: the labels of `src.predict`, words, or nothing."""

import base64
import io
import json
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.data.files.decoding import PNG
from tests.conftest import warm_run as run
from tests.evaluation.page.conftest import RefusedError, Visitor, needs_gradio

pytestmark = [needs_gradio, pytest.mark.slow]
VARIANTS = {"network": "none", "crf": "crf_raw", "fusion": "crf_raw_fill"}  # on the page, in the run


def pixels(address):
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
        return np.asarray(image)


def predicted(folder, variant):
    run("predict", "run=runs/A", "images=photos", f"variant={variant}", f"output={variant}", cwd=folder)
    found = {}
    for path in (folder / variant / "labels").glob("*.png"):
        with Image.open(path) as image:
            found[path.stem] = np.asarray(image)
    return found


def noise(seed, size=(48, 40)):
    buffer = io.BytesIO()
    colours = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(colours).save(buffer, format="PNG")
    return buffer.getvalue()


def a_png(width, height, content=b""):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")


def test_an_upload_gets_the_labels_of_predict_to_the_bit(here, visitor):
    expected = {title: predicted(here, variant) for title, variant in VARIANTS.items()}
    seen = set()
    for path in (here / "photos").iterdir():
        shown = visitor.show(path.read_bytes(), path.name)
        assert [panel["title"] for panel in shown["rows"][0]["panels"]] == [*VARIANTS]
        for panel in shown["rows"][0]["panels"]:
            wanted = expected[panel["title"]][path.stem]
            assert (pixels(panel["file"]) == wanted).all() and (pixels(panel["map"])[..., 0] == wanted).all()
            seen |= {*np.unique(wanted)}
    assert len(seen) > 2


def test_an_example_has_its_truth_and_the_score_of_evaluate(trained, visitor):
    shown = visitor.call("pick", event_data={"number": 1})["data"][1]
    scored = np.load(trained / "runs" / "A" / "confusion.npz")
    matrix = scored["crf_raw_fill"][[*scored["ids"]].index(shown["name"])].astype(float)
    hit, union = np.diag(matrix), matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    assert shown["rows"][0]["panels"][2]["miou"] == pytest.approx((hit[union > 0] / union[union > 0]).mean())
    (mask,) = trained.rglob(f"SegmentationClass/{shown['name']}.png")
    with Image.open(mask) as image:
        assert (pixels(shown["truth"])[..., 0] == np.asarray(image)).all()
    for number in (-1, 2, 10**9, "0", None, {"a": 1}):
        assert "no such example" in visitor.call("pick", event_data={"number": number})["data"][1]["error"]


def test_ten_uploads_at_once_get_their_own_labels(page):
    sent = [noise(seed, (40 + 2 * seed, 60)) for seed in range(10)]
    alone = [Visitor(page).show(one) for one in sent[:2]]
    with ThreadPoolExecutor(10) as pool:
        shown = list(pool.map(lambda data: Visitor(page).show(data), sent))
    assert [one["height"] for one in shown] == [40 + 2 * seed for seed in range(10)]
    for one, other in zip(shown, alone, strict=False):
        assert one["rows"] == other["rows"]


def jpeg():
    buffer = io.BytesIO()
    Image.new("RGB", (200, 100), "red").save(buffer, format="JPEG")
    return buffer.getvalue()


HOSTILE = {
    "a bomb, small in the file": ("bomb.png", a_png(60_000, 60_000, b"\0" * 1000), "60000 x 60000 px"),
    "more pixels than are decoded here": ("large.png", a_png(9000, 9000), "9,000 x 9,000 px"),
    "one pixel": ("one.png", a_png(1, 1, b"\0\1\2\3"), "at least 8 px"),
    "30,000 px wide": ("wide.png", a_png(30_000, 20, b"\0" * 20 * 90_001), "at most 10,000 px a side"),
    "cut off": ("cut.jpg", jpeg()[:-300], "cut.jpg is damaged or cut off"),
    "a cut-off PNG": ("cut.png", noise(1)[:-40], "cut.png is damaged or cut off"),
    "a drawing with a script": ("x.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>x</script></svg>', "x.svg"),
    "a web page as a photo": ("x.jpg", b"<html><script>alert(1)</script></html>", "not an image"),
    "nothing": ("empty.png", b"", "empty.png"),
    "a name that leads elsewhere": ("../../../etc/x.png", b"no image", "x.png cannot be read"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_picture_is_refused_in_words_and_the_service_goes_on(visitor, case):
    name, data, words = HOSTILE[case]
    shown = visitor.show(data, name)
    assert words in shown["error"] and "/" not in shown["error"].partition(" ")[0]
    assert visitor.show(noise(3))["rows"]


def test_nothing_of_an_upload_stays_on_the_disk(visitor, temporary):
    visitor.show(noise(4))
    visitor.show(b"no image at all", "x.png")
    (folder,) = temporary.glob("seglab-page-*")
    assert [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size] == []


def test_a_longer_file_is_refused_before_it_is_read(visitor):
    with pytest.raises(RefusedError) as refused:
        visitor.upload(b"\0" * 1_200_000)
    assert refused.value.args[0] == 413
    with pytest.raises(RefusedError) as refused:  # between the limit and what a request may have around it
        visitor.upload(b"\0" * 1_060_000)
    assert refused.value.args[0] == 413


def test_no_file_of_the_disk_can_be_fetched_or_labelled(visitor, trained, here):
    secret = trained / "runs" / "A" / "config.yaml"
    uploaded = visitor.upload(noise(5))
    paths = [f"/gradio_api/file={path}" for path in (secret, "runs/A/config.yaml", "/etc/passwd", uploaded)]
    paths += ["/file=/etc/passwd", "/gradio_api/file/etc/passwd", "/gradio_api/proxy=http://127.0.0.1:1/"]
    paths += ["/assets/../../../../../../etc/passwd", "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/static//etc/passwd"]
    paths += ["/gradio_api/openapi.json", "/gradio_api/info", "/monitoring", "/gradio_api/vibe-code/", "/docs"]
    for path in paths:
        with pytest.raises(RefusedError) as refused:
            visitor.get(path)
        assert refused.value.args[0] in (400, 403, 404, 405), path
    photo = str(next((here / "photos").iterdir()))
    for path in (photo, "/etc/passwd", f"{Path(uploaded).parent}/../../{Path(photo).name}"):
        answer = visitor.call("upload", {"path": path, "meta": {"_type": "gradio.FileData"}})
        assert "rows" not in json.dumps(answer) and Path(photo).is_file()


def test_the_server_fetches_nothing_from_an_address_that_somebody_gives(visitor):
    asked = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/x.png"
        for file in ({"path": address}, {"path": "x.png", "url": address}):
            visitor.call("upload", file | {"meta": {"_type": "gradio.FileData"}})
        server.shutdown()
    assert asked == []


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
def test_pages_of_strangers_are_refused(visitor, headers):
    with pytest.raises(RefusedError) as refused:
        visitor.get("/config", **headers)
    assert refused.value.args[0] == 403


def test_a_value_beyond_its_slider_is_refused(visitor):
    _, start = visitor.event("upload")
    file = {"path": visitor.upload(noise(6)), "meta": {"_type": "gradio.FileData"}}
    answer = visitor.call("upload", file, None, 10**9, *start[3:])
    assert "rows" not in json.dumps(answer)
    assert visitor.show(noise(6))["rows"]

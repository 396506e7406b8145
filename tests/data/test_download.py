import hashlib
import io
import re
import socket
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from src.core.errors import InputError
from src.data.sources import download, voc

BODY = bytes(range(256)) * 4096  # 1 MiB
MD5 = hashlib.md5(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves BODY; `breaks` connections are cut midway first; `asked` holds each request's Range header."""

    daemon_threads = True
    ranges, breaks, status = True, 0, 200

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}/folder/archive.tar"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args):
        pass

    def do_GET(self):
        asked = self.headers["Range"]
        self.server.asked.append(asked)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        start = int(re.findall(r"\d+", asked)[0]) if asked and self.server.ranges else 0
        if start >= len(BODY):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(BODY)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        self.send_header("Content-Length", str(len(BODY) - start))
        self.end_headers()
        body = BODY[start:]
        if self.server.breaks:
            self.server.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0))
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_whole_file_arrives_and_no_part_stays(server, tmp_path):
    download.fetch(server.url, tmp_path / "new" / "archive.tar", md5=MD5)
    assert (tmp_path / "new" / "archive.tar").read_bytes() == BODY
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["archive.tar"]


def test_resumes_after_each_broken_connection(server, tmp_path):
    server.breaks = 2
    download.fetch(server.url, tmp_path / "a.tar", md5=MD5)
    assert (tmp_path / "a.tar").read_bytes() == BODY
    assert server.asked == [None, f"bytes={len(BODY) // 2}-", f"bytes={len(BODY) * 3 // 4}-"]


def test_gives_up_but_keeps_the_part_for_the_next_call(server, tmp_path):
    server.breaks = 3
    with pytest.raises(InputError, match=r"connection closed after .* of 1,048,576 bytes.*by hand"):
        download.fetch(server.url, tmp_path / "a.tar", md5=MD5)
    assert (tmp_path / "a.tar.part").read_bytes() == BODY[: len(BODY) * 7 // 8]
    download.fetch(server.url, tmp_path / "a.tar", md5=MD5)
    assert (tmp_path / "a.tar").read_bytes() == BODY


def test_starts_over_where_the_server_ignores_range(server, tmp_path):
    server.ranges, server.breaks = False, 1
    download.fetch(server.url, tmp_path / "a.tar", md5=MD5)
    assert (tmp_path / "a.tar").read_bytes() == BODY


@pytest.mark.parametrize("part", [BODY, BODY + b"more"], ids=["complete", "too long"])
def test_part_without_a_rest_to_fetch(server, tmp_path, part):
    (tmp_path / "a.tar.part").write_bytes(part)
    download.fetch(server.url, tmp_path / "a.tar", md5=MD5)
    assert (tmp_path / "a.tar").read_bytes() == BODY


def test_wrong_checksum_keeps_nothing(server, tmp_path):
    with pytest.raises(InputError, match=rf"MD5 {MD5}, expected {'0' * 32}"):
        download.fetch(server.url, tmp_path / "a.tar", md5="0" * 32)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (503, 3)])
def test_http_error_names_the_way_out(server, tmp_path, status, requests):
    server.status = status
    with pytest.raises(InputError, match=rf"{status}.*put a\.tar into {tmp_path}.*{MD5}.*data=shapes"):
        download.fetch(server.url, tmp_path / "a.tar", md5=MD5)
    assert len(server.asked) == requests


def test_connection_refused_names_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr(download, "PAUSES", (0.0,))
    with socket.socket() as free:  # bound, not listening
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.tar"
        with pytest.raises(InputError, match=rf"refused.*put a\.tar into {tmp_path}.*data=shapes"):
            download.fetch(url, tmp_path / "a.tar", md5=MD5)


def write_tar(path, *members, mode="w"):
    """Each member a TarInfo, or a (name, bytes) pair."""
    with tarfile.open(path, mode) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                name, data = member
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_unpacks_files_and_inner_links(tmp_path, mode):
    write_tar(tmp_path / "a.tar", ("top/in/x", b"1"), link("top/in/y", "x"), mode=mode)
    download.unpack(tmp_path / "a.tar", tmp_path)
    assert (tmp_path / "top" / "in" / "y").read_bytes() == b"1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "top"]


@pytest.mark.parametrize(
    "bad",
    [
        ("../evil", b""),
        ("top/../../evil", b""),
        ("/evil", b""),
        link("evil", "/etc/passwd"),
        link("top/evil", "../../x"),
        link("evil", "../x", tarfile.LNKTYPE),
        link("evil", "", tarfile.FIFOTYPE),
    ],
    ids=lambda bad: bad[0] if isinstance(bad, tuple) else f"{bad.name}->{bad.linkname}",
)
@pytest.mark.parametrize("filters", [True, False])  # Python before 3.10.12 and 3.11.4 does not
def test_refuses_members_that_leave_the_folder(tmp_path, monkeypatch, bad, filters):
    if not filters:
        monkeypatch.setattr(tarfile, "data_filter", lambda member, path: member, raising=False)
    folder = tmp_path / "folder"
    folder.mkdir()
    write_tar(tmp_path / "a.tar", ("top/good", b"1"), bad)
    with pytest.raises(InputError, match=r"a\.tar has the member '.*evil"):
        download.unpack(tmp_path / "a.tar", folder)
    assert not list(folder.iterdir())
    assert [path.name for path in tmp_path.iterdir() if path != folder] == ["a.tar"]


def test_broken_archive_leaves_nothing(tmp_path):
    write_tar(tmp_path / "whole.tgz", ("top/x", BODY), mode="w:gz")
    data = (tmp_path / "whole.tgz").read_bytes()
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "cut.tgz").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.tgz cannot be unpacked"):
        download.unpack(tmp_path / "cut.tgz", folder)
    assert not list(folder.iterdir())


def test_existing_folder_is_not_overwritten(tmp_path):
    write_tar(tmp_path / "a.tar", ("top/x", b"new"))
    (tmp_path / "top").mkdir()
    with pytest.raises(InputError, match="top exists"):
        download.unpack(tmp_path / "a.tar", tmp_path)
    assert not list((tmp_path / "top").iterdir())


def test_of_several_at_once_one_fetches_and_all_find(tmp_path, monkeypatch):
    calls = []

    def slow_fetch(url, path, *, md5):
        calls.append(url)
        time.sleep(0.1)
        write_tar(path, ("data/a.txt", b"a"))

    monkeypatch.setattr(download, "fetch", slow_fetch)

    def locate(root):
        return root / "data" if (root / "data").is_dir() else None

    def obtain(_):
        return download.obtain(tmp_path / "root", locate, url="http://host/voc.tar", md5="", download=True)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(obtain, range(4))) == {tmp_path / "root" / "data"}
    assert len(calls) == 1


@pytest.fixture
def official(tmp_path):
    """Finds no data set in a folder, and fails if anything is downloaded."""
    address = {"url": "https://nowhere.invalid/voc.tar", "md5": "0" * 32, "download": True}
    return lambda root: voc.prepare(root, **address)


@pytest.mark.parametrize("name", ["loop", "nowhere", "loop/data", "nowhere/data", "file", "file/data", "n" * 300])
def test_a_root_that_can_be_no_folder_starts_no_download(official, tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("not there")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=f"^data.root={tmp_path}/{name}: .*(leads nowhere|is a file|no folder)"):
        official(tmp_path / name)


@pytest.mark.parametrize("name", ["VOCdevkit", "VOC2012", "JPEGImages", "voc.tar"])
@pytest.mark.parametrize("to", ["loop", "folder"])
def test_a_data_set_that_is_not_whole_starts_no_download(official, tmp_path, name, to):
    if to == "loop":
        (tmp_path / name).symlink_to(name)
    else:
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f"{name} .*(leads nowhere|not whole).*nothing is downloaded"):
        official(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", name]

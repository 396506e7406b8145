"""Zip archives; tests of tar archives and of downloads are in test_download.py."""

import stat
import zipfile

import pytest

from src.core.errors import InputError
from src.data.sources.unpacking import unpack


def write_zip(path, *members):
    """Each member a name and its bytes, or a name, bytes and the kind of file as Unix has it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as content:
        for name, data, *kind in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = ((kind[0] if kind else 0) | 0o644) << 16
            content.writestr(info, data)
    return path


def test_files_and_folders_come_out_whole(tmp_path):
    archive = write_zip(tmp_path / "a.zip", ("top/", b""), ("top/in/x.txt", b"1" * 9999), ("y", b"2", stat.S_IFREG))
    unpack(archive, tmp_path)
    assert (tmp_path / "top" / "in" / "x.txt").read_bytes() == b"1" * 9999
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "top", "y"]
    with pytest.raises(InputError, match="top exists"):
        unpack(archive, tmp_path)


@pytest.mark.parametrize(
    "bad",
    [
        ("../evil", b""),
        ("top/../../evil", b""),
        ("/evil", b""),
        ("..\\evil", b""),
        ("top/evil", b"/etc/passwd", stat.S_IFLNK),
        ("top/evil", b"", stat.S_IFIFO),
    ],
    ids=str,
)
def test_a_member_that_leaves_the_folder_stops_all(tmp_path, bad):
    (tmp_path / "folder").mkdir()
    archive = write_zip(tmp_path / "a.zip", ("top/good", b"1"), bad)
    with pytest.raises(InputError, match=r"a\.zip has the member '.*evil'.*nothing was unpacked"):
        unpack(archive, tmp_path / "folder")
    assert not list((tmp_path / "folder").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "folder"]


@pytest.mark.parametrize("damage", ["cut", "changed", "locked", "unknown"])
def test_what_cannot_be_unpacked_leaves_nothing(tmp_path, damage):
    (tmp_path / "folder").mkdir()
    archive = write_zip(tmp_path / "a.zip", ("good", b"1"), ("x", bytes(range(256))))
    data = bytearray(archive.read_bytes())
    at, central = data.rindex(b"PK\x03\x04"), data.rindex(b"PK\x01\x02")
    if damage == "cut":
        del data[-10:]
    elif damage == "changed":
        data[at + 60] ^= 255
    else:  # bits of the flags: encrypted; or a method of compression that nobody has
        offset, value = (0, 1) if damage == "locked" else (2, 99)
        data[at + 6 + offset] = data[central + 8 + offset] = value
    archive.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.zip (cannot be unpacked|needs a password)"):
        unpack(archive, tmp_path / "folder")
    assert not list((tmp_path / "folder").iterdir())

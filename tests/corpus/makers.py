"""Files for the corpus: each function makes some in a folder, or changes those of a run that lies there."""

import os
import pickle
import shutil
from pathlib import Path

import torch
import yaml

GOOD = Path("runs", "good")


class _Code:
    def __reduce__(self):
        return os.system, ("touch fired",)


def text(folder, *, path, content, repeat=1):
    """A text file, with its parents."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(content * repeat)


def raw(folder, *, path, hexes, repeat=1):
    """A file of bytes."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(bytes.fromhex(hexes) * repeat)


def pipe(folder, *, path):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).unlink(missing_ok=True)
    os.mkfifo(folder / path)


def directory(folder, *, path):
    if (folder / path).is_file():
        (folder / path).unlink()
    (folder / path).mkdir(parents=True)


def link(folder, *, path, target):
    (folder / path).unlink(missing_ok=True)
    (folder / path).symlink_to(target)


def sparse(folder, *, path, size):
    """A file that is long and takes no room."""
    with (folder / path).open("wb") as file:
        file.truncate(size)


def nested(folder, *, path, depth):
    """A YAML file with lists in lists."""
    (folder / path).write_text("a: " + "[" * depth + "]" * depth)


def bomb(folder, *, path, merge=False):
    """YAML that is small, and huge once its references are followed."""
    use = "{<<: [*%s, *%s]}" if merge else "[*%s, *%s]"
    start = "a0: &a0 {x: 1}\n" if merge else "a0: &a0 [1, 2]\n"
    (folder / path).write_text(start + "".join(f"a{i}: &a{i} {use % ((f'a{i - 1}',) * 2)}\n" for i in range(1, 40)))


def preset(folder, *, path="mine.yaml", **changes):
    """A preset of a dense CRF."""
    content = yaml.safe_load((Path(__file__).parents[2] / "conf" / "crf" / "deeplabv2.yaml").read_text())
    (folder / path).write_text(yaml.safe_dump(content | changes))


def run(folder):
    """The finished run, as it is."""


def stored(folder, *, key, value=None, gone=False, files=("best.ckpt", "last.ckpt", "config.yaml")):
    """A run whose stored configs hold another value at a dotted key, or no such key."""
    for name in files:
        path = folder / GOOD / name
        if name.endswith(".ckpt"):
            content = torch.load(path, weights_only=True)
            _change(content["seglab"]["config"], key, value, gone)
            torch.save(content, path)
        else:
            content = yaml.safe_load(path.read_text())
            _change(content, key, value, gone)
            path.write_text(yaml.safe_dump(content))


def kept(folder, *, key, value=None, gone=False, files=("best.ckpt", "last.ckpt")):
    """A run whose checkpoints hold another value at a path, its parts separated by `/`."""
    for name in files:
        content = torch.load(folder / GOOD / name, weights_only=True)
        _change(content, key, value, gone, "/")
        torch.save(content, folder / GOOD / name)


def weight(folder, *, name, what, files=("best.ckpt", "last.ckpt")):
    """A run one of whose weights is missing, new, of another shape or type, or no number."""
    makes = {
        "nan": lambda old: torch.full_like(old, float("nan")),
        "inf": lambda old: torch.full_like(old, float("-inf")),
        "longer": lambda old: torch.cat([old, old]),
        "flat": lambda old: old.flatten(),
        "empty": lambda old: old[:0],
        "whole": lambda old: old.long(),
        "complex": lambda old: old.to(torch.cfloat),
        "sparse": lambda old: old.to_sparse(),
        "negative": lambda old: -old.abs() - 1,
        "stretched": lambda old: torch.zeros(()).expand(10**12),
        "meta": lambda old: old.to("meta"),
        "text": lambda old: "text",
    }
    for file in files:
        content = torch.load(folder / GOOD / file, weights_only=True)
        state = content["state_dict"]
        if what == "gone":
            del state[name]
        else:
            state[name] = torch.zeros(3) if what == "new" else makes[what](state[name])
        torch.save(content, folder / GOOD / file)


def cut(folder, *, path, share=0.5):
    """The beginning of a file."""
    content = (folder / path).read_bytes()
    (folder / path).write_bytes(content[: int(len(content) * share)])


def flipped(folder, *, path, at=0.5):
    """A file with 64 other bytes in it."""
    content = bytearray((folder / path).read_bytes())
    place = int(len(content) * at)
    content[place : place + 64] = b"\xa5" * 64
    (folder / path).write_bytes(bytes(content))


def code(folder, *, path, protocol=2, torchs=True):
    """A file that runs a command if it is unpickled."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    if torchs:
        torch.save({"seglab": _Code()}, folder / path)
    else:
        (folder / path).write_bytes(pickle.dumps({"seglab": _Code()}, protocol=protocol))


def module(folder, *, path):
    """A whole network, as `torch.save(network)` writes it."""
    torch.save(torch.nn.Linear(2, 2), folder / path)


def plain(folder, *, path, content):
    """Plain values, as `torch.save` writes them."""
    torch.save(content, folder / path)


def loop(folder, *, where):
    """A run whose stored config holds itself."""
    for name in ("best.ckpt", "last.ckpt"):
        content = torch.load(folder / GOOD / name, weights_only=True)
        config = content["seglab"]["config"]
        config[where] = config
        torch.save(content, folder / GOOD / name)


def legacy(folder, *, path):
    """A file in the format of torch before 1.6, cut after its head."""
    torch.save({"a": torch.zeros(3)}, folder / path, _use_new_zipfile_serialization=False)
    cut(folder, path=path, share=0.9)


def gone(folder, *, path):
    """A folder or file that is not there any more."""
    target = folder / path
    shutil.rmtree(target) if target.is_dir() else target.unlink()


def mode(folder, *, path, bits):
    """Permissions."""
    (folder / path).chmod(bits)


def _change(node, key, value, gone, separator="."):
    *outer, last = key.split(separator)
    for part in outer:
        node = node[int(part) if isinstance(node, list) else part]
    last = int(last) if isinstance(node, list) else last
    if gone:
        del node[last]
    else:
        node[last] = value

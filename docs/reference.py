"""Write `docs/reference.md`, every key of every config, from the comments in `conf/`: `make reference`."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
TARGET = ROOT / "docs" / "reference.md"
COMMANDS = ("train", "evaluate", "predict", "page", "tune", "report", "plan", "check", "export")
GROUPS = {  # with the file whose comments explain the keys of all
    "backbone": "resnet50",
    "head": "deeplabv3plus",
    "loss": "cross_entropy",
    "data": "folder",
    "recipe": "adam_plateau",
    "crf": "krahenbuhl2011",
    "variants": "standard",
    "trainer": "auto",
    "logger": "wandb",
}
OWN = ("defaults.", "classes.", "label_mapping.")  # below them are names, not keys
HEAD = """# Every key of every config

Written by `make reference` from the comments in `conf/`; do not edit this page. On the command line a key is set by
`key=value`, a key inside a group by `group.key=value`, and a whole group by `group=NAME` or `group=PATH.yaml`.
"""


@dataclass(frozen=True)
class Key:
    """A key, its value as the file has it, and what its comment says."""

    name: str
    value: str
    comment: str


def keys(path: Path) -> list[Key]:
    """The keys of a file, dotted, in its order; values with keys below them are left out."""
    found: list[Key] = []
    above: list[tuple[int, str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"^(\s*)([\w.]+):(?:\s+(.*?))?(?:\s+#\s*(.*))?$", line)
        if match is None or line.lstrip().startswith(("#", "-")):
            continue
        indent, name, value, comment = len(match[1]), match[2], match[3] or "", match[4] or ""
        if value.startswith("#"):
            value, comment = "", value.lstrip("# ")
        value = value.removeprefix(">-")  # a text on the lines below
        above = [one for one in above if one[0] < indent]
        dotted = ".".join([*(parent for _, parent in above), name])
        if dotted != "defaults" and not dotted.startswith(OWN):
            found.append(Key(dotted, value, comment))
        above.append((indent, name))
    parents = {key.name.rpartition(".")[0] for key in found}
    return [key for key in found if key.value or key.comment or key.name not in parents]


def title(path: Path) -> str:
    """The first comment of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    told = [line.lstrip("# ") for line in lines if line.startswith("#") and "@package" not in line]
    return " ".join(told[:1])


def table(rows: list[Key], prefix: str = "") -> list[str]:
    """Markdown."""
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for key in rows:
        value = f"`{key.value}`".replace("|", r"\|") if key.value else ""
        lines.append(f"| `{prefix}{key.name}` | {value} | {key.comment.replace('|', chr(92) + '|')} |")
    return lines


def page() -> str:
    """The whole page."""
    lines = [HEAD, "## Commands", ""]
    for name in COMMANDS:
        lines += [f"### python -m src.{name}", "", *table(keys(CONF / f"{name}.yaml")), ""]
    lines += ["## Groups", ""]
    for group, explained in GROUPS.items():
        files = sorted((CONF / group).glob("*.yaml"))
        lines += [f"### {group}=", "", "| choice | what it is |", "|---|---|"]
        lines += [f"| `{file.stem}` | {title(file)} |" for file in files] + [""]
        if group == "variants":
            continue
        known = {key.name: key for key in keys(CONF / group / f"{explained}.yaml")}
        more = [(key, file.stem) for file in files for key in keys(file) if key.name not in known]
        for key, _ in more:
            same = [(other, owner) for other, owner in more if other.name == key.name]
            comment = next((other.comment for other, _ in same if other.comment), "")
            owners = ", ".join(f"`{owner}`" for _, owner in same)
            value = key.value if {other.value for other, _ in same} == {key.value} else ""
            known.setdefault(key.name, Key(key.name, value, f"{comment} (only in {owners})" if comment else ""))
        lines += [f"Keys, with the values of `{explained}`:", "", *table(list(known.values()), f"{group}."), ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
    print(f"written     {TARGET.relative_to(ROOT)}")

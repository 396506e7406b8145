"""The model card of a folder to share: what the network is, its table with intervals, and what is known of its data."""

from pathlib import Path
from typing import Any

from torch import nn

from src.core.errors import InputError, printable
from src.evaluation.export.network import Trained
from src.evaluation.source import Source
from src.reporting.collect import of_folders
from src.reporting.comparison import Comparison, compare
from src.reporting.output.formats import markdown
from src.runs.checks.records import read_results
from src.runs.folder import RunFolder

_TORCHVISION = {
    "IMAGENET": "torchvision's code is BSD-3-Clause; it states no licence for the weights, and ImageNet is for "
    "non-commercial research",
    "COCO": "torchvision's code is BSD-3-Clause; it states no licence for the weights; COCO's annotations are "
    "CC BY 4.0, and its images carry Flickr's terms",
}


def card(found: Trained, source: Source, *, parameters: nn.Module, resamples: int, name: str | None) -> str:
    """The text of the card, Markdown.

    Args:
        found: the network.
        source: where it comes from; a run folder has scores.
        parameters: whose number is told.
        resamples: of the images, for the intervals.
        name: `user/name` on the hub, or None.
    """
    config, results = found.facts["config"], _results(source)
    backbone, head, recipe = config["backbone"], config["head"], config["recipe"]
    count = sum(one.numel() for one in parameters.parameters())
    head_name = f"{head['name']} ({head['arch']})" if "arch" in head else head["name"]
    lines = [
        "---",
        "library_name: pytorch",
        "pipeline_tag: image-segmentation",
        "tags: [semantic-segmentation, seglab]",
        "---",
        "",
        f"# {_plain(backbone['name'])} with {_plain(head_name)}, trained on {_plain(config['data']['name'])}",
        "",
        f"A network for semantic segmentation: it gives each pixel of a photo one of {len(found.classes)} classes. "
        "Trained, scored and written by SegLab.",
        "",
        "## Scores",
        "",
        *_scores(source, resamples),
        "",
        "## The network",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {_plain(value)} |" for key, value in _facts(found, count, results).items()),
        "",
        f"Classes: {', '.join(_plain(one) for one in found.classes.names)}.",
        "",
        "## Pretrained weights",
        "",
        _licence(found.facts),
        "",
        "## How to use it",
        "",
        "```",
        f"python -m src.evaluate run={f'hf:{name}' if name else 'THIS_FOLDER'} data.root=FOLDER_OF_THE_DATA",
        f"python -m src.train backbone.weights=THIS_FOLDER backbone={_plain(backbone['name'])} ...   # start from it",
        "```",
        "",
        "The files hold weights, names and numbers; none of them runs code. `model.safetensors` holds the weights that "
        "were scored"
        + (f" (an exponential average of the trained ones, decay {recipe['ema']})" if recipe.get("ema") else "")
        + ", without the optimiser. Images are normalised with the mean and standard deviation in `config.yaml`, for "
        "pixels from 0 to 1.",
        "",
        "## Limits",
        "",
        f"The scores hold for images like those of {_plain(config['data']['name'])}, and for the table's protocol. "
        "The intervals cover the choice of val images, not another training or other photos.",
        "",
    ]
    return "\n".join(lines)


def _facts(found: Trained, count: int, results: dict[str, Any]) -> dict[str, Any]:
    """Rows of the table about the network."""
    config, facts = found.facts["config"], found.facts
    rows: dict[str, Any] = {
        "backbone": f"{config['backbone']['name']} ({config['backbone'].get('model', config['backbone']['kind'])})",
        "head": f"{config['head']['name']}, output stride {config['head']['output_stride']}",
        "loss": config["loss"]["name"],
        "recipe": f"{config['recipe'].get('name', '?')}, epoch {found.epoch} (the first is 0), {found.step} steps",
        "parameters": f"{count:,}",
        "protocol": f"{config['recipe']['protocol']}",
        "seed": config["seed"],
    }
    for split, digest in facts.get("fingerprint", {}).items():
        rows[f"fingerprint of {split}"] = str(digest)[:12]
    machine = results.get("machine") or {}
    if machine:
        rows["scored on"] = f"{machine.get('device')}, precision {machine.get('precision')}"
    rows["versions"] = ", ".join(f"{key} {value}" for key, value in facts.get("versions", {}).items())
    rows["checkpoint"] = f"SHA-256 {facts['checkpoint'][:12]}"
    return rows


def _results(source: Source) -> dict[str, Any]:
    path = RunFolder(source.path).results if source.path.is_dir() else source.path
    return (read_results(path, trained=False) or {}) if path.name == "results.json" and path.is_file() else {}


def _scores(source: Source, resamples: int) -> list[str]:
    """The table of a run folder, as a report has it; of a checkpoint alone, that there is none."""
    if source.path.is_dir() and RunFolder(source.path).results.is_file():
        return _table(source.path, resamples)
    before = source.path / "README.md"
    if source.path.is_dir() and before.is_file():
        return ["See the card of the folder that this one was made from."]
    return ["Not known: it was exported from a checkpoint without its run folder."]


def _table(folder: Path, resamples: int) -> list[str]:
    cells = of_folders([folder])
    names = [key.split(".")[1] for key in cells[0].content if key.startswith("variants.")]
    question = "What does each variant score?"
    try:
        table: Comparison = compare(
            cells, name="card", question=question, baseline="none" if "none" in names else None, resamples=resamples
        )
    except InputError as error:
        return [f"The scores of the run could not be read ({printable(error)})."]
    text = markdown(table)
    return text.partition("\n\n")[2].rstrip().split("\n")  # without the question


def _licence(facts: dict[str, Any]) -> str:
    """What is known of the weights that the training started from, and of their licence."""
    weights, config = facts.get("weights"), facts["config"]["backbone"]
    if config.get("weights") in (None, "none"):
        return "None: the network was trained from random weights."
    told = _plain(weights) if isinstance(weights, str) else _plain(config["weights"])
    if "licence" in told:
        return f"It started from: {told}."
    kind = next((text for word, text in _TORCHVISION.items() if word in str(config["weights"]).upper()), None)
    known = kind if config["kind"] in ("resnet", "mobilenet_v3") else None
    return f"It started from: {told}. Licence: {known or 'not known'}."


def _plain(value: Any) -> str:
    """A value as text that Markdown shows as it is, on one line."""
    text = printable(str(value))[:300]
    return text.replace("|", r"\|").replace("<", "&lt;").replace("`", r"\`").replace("[", r"\[")

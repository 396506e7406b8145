"""Export a trained network as an ONNX file, or as a folder to share: `python -m src.export run=FOLDER`."""

from omegaconf import DictConfig
from rich.console import Console

from src.core.command.entry import command, typed_overrides
from src.runs.checks.commands import check_export, prepare


@command("export", check_export, prepare=prepare)
def main(config: DictConfig) -> float | None:
    """Write the network that was scored; returns the mIoU of an ONNX file."""
    console = Console(markup=False, emoji=False)
    from src.evaluation import build, source  # torch from here on
    from src.evaluation.export import files, folder, network

    found = source.find(config)
    settled = source.settle(config, found, typed_overrides())
    place = network.output_folder(config, found)
    console.print(f"exporting   {found.name}", soft_wrap=True)
    if config.format == "folder":
        folder.write(place, network.trained(found, build.hardware(settled)), found, config, console)
        return None
    _, settled, machine, data = source.prepare(config, typed_overrides())
    place.mkdir(parents=True, exist_ok=True)
    return files.write_onnx(config, settled, network.trained(found, machine), machine, data, place, console)


if __name__ == "__main__":
    main()

"""Trained networks on Hugging Face's hub: fetched by `run=hf:user/name`, sent by `push=user/name`. Imports no torch.

`HF_ENDPOINT` and `HF_TOKEN`, or `hf auth login`, say where and as whom, as for every program that uses the hub.
"""

import re
from pathlib import Path
from typing import Any

from src.core.errors import InputError, printable
from src.core.values import shown

PREFIX = "hf:"

FILES = ("model.safetensors", "config.yaml", "classes.yaml", "README.md")
"""What is fetched and sent, and nothing else."""


def check_address(key: str, value: Any, *, revision: bool = True) -> None:
    """Raise InputError unless the text is `user/name`, with `revision` perhaps followed by `@revision`."""
    part = r"\w[\w.-]{0,95}"
    wanted = rf"{part}/{part}" + (r"(@\w[\w.-]{0,95})?" if revision else "")
    if not isinstance(value, str) or not re.fullmatch(wanted, value, re.ASCII):
        raise InputError(f"{key}{shown(value)}: must be user/name{', perhaps with @revision' if revision else ''}.")


def is_address(run: str) -> bool:
    """Whether the text names a network on the hub rather than a folder."""
    return run.startswith(PREFIX)


def fetched(run: str) -> Path:
    """The folder that a text names; one on the hub is fetched into the hub's cache, with `hf:user/name@revision`.

    Raises:
        InputError: there is no such network, it may not be read, or the hub cannot be reached.
    """
    if not is_address(run):
        return Path(run)
    check_address(f"run={PREFIX}", run.removeprefix(PREFIX))
    name, _, revision = run.removeprefix(PREFIX).partition("@")
    import huggingface_hub

    try:
        path = Path(huggingface_hub.snapshot_download(name, revision=revision or None, allow_patterns=list(FILES)))
    except Exception as error:  # of the network, of the hub, of the cache: each has classes of its own
        raise InputError(f"run={run}: could not be fetched from {_server()} ({_reason(error)}).") from error
    if missing := [file for file in FILES[:3] if not (path / file).is_file()]:
        raise InputError(f"run={run}: holds no {', '.join(missing)}, so `python -m src.export` did not make it.")
    return path


def sent(folder: Path, name: str) -> str:
    """Send a folder that `src.export` wrote to `user/name`, which is made if needed; returns its address.

    Raises:
        InputError: nobody is logged in, it may not be written to, or the hub cannot be reached.
    """
    import huggingface_hub

    try:
        hub: Any = huggingface_hub.HfApi()
        hub.create_repo(name, exist_ok=True, repo_type="model")
        message = "Send the network, its config and its model card"
        hub.upload_folder(repo_id=name, folder_path=folder, allow_patterns=list(FILES), commit_message=message)
    except Exception as error:
        way_out = "set HF_TOKEN or type `hf auth login` if you are not logged in"
        raise InputError(f"push={name}: could not be sent to {_server()} ({_reason(error)}); {way_out}.") from error
    return f"{_server()}/{name}"


def _server() -> str:
    import huggingface_hub

    return str(huggingface_hub.constants.ENDPOINT)


def _reason(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {error}".strip().partition("\n")[0][:300])

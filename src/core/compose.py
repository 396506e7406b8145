"""Configs: composed by Hydra from names and files, or read from run folders and checkpoints. Imports no torch."""

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_launcher import BasicLauncherConf
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from src.core.errors import InputError
from src.core.files.reading import read_yaml
from src.core.names import CONF, declared
from src.core.values import check_plain

TABLES = CONF.parent / "experiments" / "table"
LAUNCHER = "hydra_plugins.seglab.JobLauncher"
GROUPS = (*sorted(path.name for path in CONF.iterdir() if path.is_dir()), "table")
_BASES = {"data": "folder"}  # group: choice whose values hold for what a file of one's own leaves out
_PATHS: dict[str, str] = {}  # name of a registered file: its path


class Tables(SearchPathPlugin):
    """Makes `table=NAME` a choice for Hydra: `experiments/table/NAME.yaml`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """See Hydra."""
        search_path.append("seglab", f"file://{TABLES.parent}")


Plugins.instance().register(Tables)
# Makes `hydra/launcher=jobs` a choice: each job of a sweep runs in its own process. `src.train` registers the class.
ConfigStore.instance().store("jobs", BasicLauncherConf(LAUNCHER), group="hydra/launcher")


def composing() -> AbstractContextManager[Any]:
    """A context in which configs can be composed: the Hydra of the running command, or else a new one."""
    if GlobalHydra.instance().is_initialized():
        return nullcontext()
    return initialize_config_dir(str(CONF), version_base="1.3")


def register(words: Sequence[str]) -> list[str]:
    """Make each file in `GROUP=PATH.yaml` a choice that Hydra knows, and put its name into the word; other words stay.

    Raises:
        InputError: the file is missing, or is not a YAML file with keys.
    """
    return [_each_choice(word, _registered) for word in words]


def typed(words: Sequence[str]) -> list[str]:
    """The words as they were before `register`."""
    return [_each_choice(word, lambda _, value: _PATHS.get(value, value)) for word in words]


def _each_choice(word: str, change: Any) -> str:
    group, equals, values = word.partition("=")
    if not equals or group not in GROUPS or "[" in values:
        return word
    return f"{group}=" + ",".join(change(group, value) for value in values.split(","))


def is_registered(name: str) -> bool:
    """Whether `register` has put this name in the place of a file."""
    return name in _PATHS


def _registered(group: str, value: str) -> str:
    if not value.endswith((".yaml", ".yml")):
        return value
    path = Path(value).expanduser()
    content = completed(group, read_mapping(path, f"{group}={value}"), path)
    name = f"{path.stem}_{hashlib.sha256(repr(content).encode()).hexdigest()[:8]}"
    _PATHS[name] = value
    ConfigStore.instance().store(name=name, node=content, group=group)
    return name


def completed(group: str, content: dict[str, Any], path: Path) -> dict[str, Any]:
    """What a file of one's own says about a group, with its name and what it leaves out.

    Args:
        group: of conf.
        content: of the file.
        path: of the file; a relative `root` in it begins at its folder.
    """
    if declared(group, "name"):
        content = {"name": path.stem, **content}
    if group in _BASES and "defaults" not in content:
        base = read_mapping(CONF / group / f"{_BASES[group]}.yaml", group)
        content = {**base, **content, "root": str(path.parent / Path(str(content.get("root", "."))).expanduser())}
    return content


def read_mapping(path: Path, where: str) -> dict[str, Any]:
    """The content of a YAML file with keys at its top level; references are not followed.

    Args:
        path: of the file.
        where: the word that names the file, for messages.

    Raises:
        InputError: the file is missing, or is not a YAML file with keys.
    """
    try:
        content = OmegaConf.to_container(OmegaConf.load(io.StringIO(read_yaml(path))), resolve=False)
    except FileNotFoundError:
        raise InputError(f"{where}: there is no file {path}.") from None
    except InputError:
        raise
    except (OSError, YAMLError, ValueError, OmegaConfBaseException) as error:
        reason = error.strerror if isinstance(error, OSError) else _in_words(error)
        raise InputError(f"{path}: cannot be read as YAML ({reason}).") from error
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: must be a YAML file with `key: value` lines.")
    try:
        check_plain("", content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return {str(key): value for key, value in content.items()}


def _in_words(error: Exception) -> str:
    """What is wrong with a YAML file, and in which line."""
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark is not None:
        hint = "; a backslash needs single quotes" if "escape" in error.problem else ""
        return f"line {error.problem_mark.line + 1}: {error.problem}{hint}"
    return str(error).partition("\n")[0]


def plain(content: Any, source: Path) -> DictConfig:
    """A stored config as plain values: references are not followed, and no name leads to code.

    Args:
        content: what the file holds.
        source: the file, for messages.

    Raises:
        InputError: this is not a config, or it names something to call.
    """
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{source}: does not hold the config of a run of this project.")
    try:
        check_plain("", content)
    except InputError as error:
        raise InputError(f"{source}: its config cannot be used: {error}") from error
    config = OmegaConf.create(_as_text(content, source, ""))
    assert isinstance(config, DictConfig)
    return config


def _as_text(node: Any, source: Path, where: str) -> Any:
    """The same values with `${...}` as text; raises InputError for names that our configs never hold."""
    if isinstance(node, Mapping):
        for key in node:
            if re.fullmatch(r"_\w+_", str(key)):
                place = f"{where}.{key}" if where else key
                raise InputError(f"{source}: its config has the key {place}, but configs hold names only.")
        return {key: _as_text(value, source, f"{where}.{key}" if where else str(key)) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_as_text(value, source, where) for value in node]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", node) if isinstance(node, str) else node

"""Names that configs hold, and the code they stand for. Imports no torch.

Configs, checkpoints and run folders hold only names. Fixed tables turn the names into code. Code from outside the tree
comes in by `plugins=FILE` on the command line, and in no other way: it adds its own names to the tables.
"""

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

import yaml

from src.core.errors import InputError
from src.core.files.reading import check_regular
from src.core.values import check_path

CONF = Path(__file__).resolve().parents[2] / "conf"

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_loaded: dict[str, str] = {}  # plugins of this process: name as typed -> start of the file's SHA-256


class Table(Generic[T]):
    """A table from names to the functions or classes that they stand for.

    The files in `conf/GROUP` list the names that the tree itself offers, so a wrong name is found without imports.

    Args:
        key: where a config holds the name, such as `loss.name`: the group, and the key in the group's files.
        homes: modules whose functions add themselves; imported when a name is looked up.
    """

    def __init__(self, key: str, *homes: str) -> None:
        self.key = key
        self.group, self.field = key.split(".")
        self.homes = homes
        self.entries: dict[str, Callable[..., T]] = {}

    def add(self, name: str) -> Callable[[F], F]:
        """Decorator: the name stands for the decorated function or class.

        Raises:
            InputError: the name is taken.
        """

        def added(made: F) -> F:
            if name in self.entries or (name in declared(self.group, self.field) and made.__module__ not in self.homes):
                raise InputError(f"{self.key}={name}: this name is taken; choose another one in {made.__module__}.")
            self.entries[name] = made
            return made

        return added

    @property
    def names(self) -> list[str]:
        """All names, including those of plugins."""
        return sorted({*declared(self.group, self.field), *self.entries})

    def __getitem__(self, name: str) -> Callable[..., T]:
        """What a name stands for; for an unknown name raises InputError with the known ones."""
        for home in self.homes:
            importlib.import_module(home)
        if name not in self.entries:
            raise InputError(f"{self.key}={name}: not one of {', '.join(self.names)}.")
        return self.entries[name]

    def make(self, choice: Mapping[str, Any], *, ignore: Iterable[str] = (), **given: Any) -> T:
        """Make the thing that a config chooses.

        Args:
            choice: the name and the options.
            ignore: keys of the choice that are not options.
            given: arguments that do not come from the config.

        Raises:
            InputError: the name is unknown, an option is unknown or missing, or a value is refused.
        """
        made = self.bound(choice, ignore=ignore, given=tuple(given))
        try:
            return made(**given)
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            chosen = ", ".join(f"{key}={value}" for key, value in choice.items())
            raise InputError(f"{self.group}: cannot be made of {chosen} ({error}).") from error

    def bound(self, choice: Mapping[str, Any], *, ignore: Iterable[str] = (), given: Iterable[str]) -> Callable[..., T]:
        """What a config names, with its options filled in; the caller passes `given` later. Raises as `make`."""
        name = str(choice.get(self.field))
        made = self[name]
        options = {str(key): value for key, value in choice.items() if key not in (self.field, *ignore)}
        takes = inspect.signature(made)
        try:
            takes.bind(**options, **dict.fromkeys(given))
        except TypeError as error:
            valid = ", ".join(key for key in takes.parameters if key not in given)
            raise InputError(f"{self.group}: {name} takes {valid or 'no options'}; {error}.") from error
        return partial(made, **options)


@cache
def declared(group: str, field: str) -> tuple[str, ...]:
    """The values of a key in the files of a group: the names that the tree itself offers."""
    contents = (
        yaml.safe_load(file.read_text(encoding="utf-8")) or {} for file in sorted((CONF / group).glob("*.yaml"))
    )
    return tuple(dict.fromkeys(str(content[field]) for content in contents if field in content))


def load_plugins(chosen: Any) -> dict[str, str]:
    """Import the plugins that the command line names: files, or modules that can be imported.

    Args:
        chosen: one name or a list of names, as typed; or an earlier result of this function.

    Returns:
        Each name with the start of its file's SHA-256, which enters the hash of a run.

    Raises:
        InputError: there is no such file or module, or it cannot be imported.
    """
    several = isinstance(chosen, Mapping | Sequence) and not isinstance(chosen, str)
    words = list(chosen) if several else [chosen] if chosen is not None else []
    for word in words:
        check_path("plugins", word)
    for word in words:
        if word.endswith(".py"):
            found = _digest(Path(word))
            if found not in _loaded.values():
                _import_file(Path(word), found)
        else:
            found = _digest(Path(str(_imported_module(word).__file__)))
        _loaded[word] = found
    return {word: _loaded[word] for word in words}


def _digest(path: Path) -> str:
    """The start of the SHA-256 of a plugin, 12 hex digits."""
    try:
        check_regular(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except FileNotFoundError:
        raise InputError(f"plugins={path}: there is no such file.") from None
    except OSError as error:
        raise InputError(f"plugins={path}: cannot be read ({error.strerror}).") from error


def missing_plugins(recorded: Mapping[str, str] | None) -> list[str]:
    """The plugins that a run has recorded and that this process has not loaded."""
    return [word for word, found in (recorded or {}).items() if found not in _loaded.values()]


def _import_file(path: Path, digest: str) -> None:
    name = f"seglab_plugin_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        raise InputError(f"plugins={path}: cannot be imported ({type(error).__name__}: {error}).") from error


def _imported_module(name: str) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        raise InputError(
            f"plugins={name}: cannot be imported ({type(error).__name__}: {error}); give a file, such as my_losses.py, "
            "or a module that Python finds."
        ) from error
    if getattr(module, "__file__", None) is None:
        raise InputError(f"plugins={name}: has no file of its own; name a file, or a module that has one.")
    return module

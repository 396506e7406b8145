"""The common part of all commands: composing the config, readable errors, exit status. Imports no torch."""

import difflib
import errno
import io
import os
import re
import sys
import threading
from collections.abc import Callable, Collection
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.core.compose import GROUPS, check_words, composing, register, typed, unreadable
from src.core.errors import InputError
from src.core.names import CONF
from src.core.values import one_line, shown

CHILD = "SEGLAB_JOB"  # set for each process of a sweep; such a process ends when its standard input closes
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")  # of torchrun, Lightning and SLURM

_SYSTEM = (  # what the disk and the system refuse
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENAMETOOLONG),
    *(errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EMFILE, errno.ENFILE),
)


def is_main(config: DictConfig) -> bool:
    """Whether this process writes the run's files and prints; this is known even before the processes have met.

    Environment variables count only if the trainer uses several processes: in a SLURM allocation, independent runs
    have ranks, too.
    """
    several = config.trainer.devices != 1 or config.trainer.nodes != 1
    return not several or all(os.environ.get(name, "0") == "0" for name in _RANKS)


def command(
    name: str,
    check: Callable[[DictConfig], None],
    *,
    prepare: Callable[[DictConfig], None] = lambda _: None,
    launcher: Callable[[], None] = lambda: None,
    rest: str | None = None,
) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Turn a function into a command: `conf/NAME.yaml` composed with the command line, checked, then run.

    Args:
        name: root config, and the module's name under `src`.
        check: raises `InputError` for an impossible config; runs before torch is imported.
        prepare: completes the composed config, in place, before it is checked.
        launcher: registers our own launcher with Hydra, for a command that sweeps.
        rest: key of a list for the words whose key is not in the root config; None: such words are errors.

    A mistake that the user can fix ends with one sentence and exit status 1; Ctrl-C ends with 130.
    `SEGLAB_TRACEBACK=1` shows the whole traceback instead.
    """

    def decorate(body: Callable[[DictConfig], Any]) -> Callable[[], None]:
        def job(config: DictConfig) -> Any:
            try:
                prepare(config)
                check(config)
                sys.argv[1:] = typed(sys.argv[1:])  # for the processes that the trainer may start
                return body(config)
            except Exception as error:
                if not _is_told(error) or HydraConfig.get().mode is RunMode.MULTIRUN or _wants_traceback():
                    raise
                told = _complain(sentence(error, name, sys.argv[1:]))
                sys.exit(told)  # passes through Hydra, which would print the error in its own words

        def main() -> None:
            if os.environ.get(CHILD):  # not removed: processes that this one starts must end with the sweep, too
                threading.Thread(target=_end_with_the_sweep, daemon=True).start()
            launcher()
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come to us instead of to Hydra's own printer
            # Not wrapped by functools: Hydra would look for the job's module in the wrong place.
            job.__module__, job.__qualname__ = body.__module__, body.__qualname__
            for stream in (sys.stdout, sys.stderr):
                if isinstance(stream, io.TextIOWrapper):
                    stream.reconfigure(errors="backslashreplace")  # names that the terminal's encoding lacks
            try:
                _check_flags(sys.argv[1:], name)
                sys.argv[1:] = register(sys.argv[1:])
                check_words(sys.argv[1:], name)
                if rest is not None:
                    sys.argv[1:] = _gathered(sys.argv[1:], name, rest)
                hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(job)()
            except KeyboardInterrupt:
                sys.exit(_complain("interrupted", status=130))
            except SystemExit as ended:
                if isinstance(ended.__context__, KeyboardInterrupt):  # Lightning's way to end a training
                    sys.exit(_complain("interrupted; the same command goes on from the last whole epoch", status=130))
                raise
            except Exception as error:
                if not _is_told(error) or _wants_traceback():
                    raise
                sys.exit(_complain(sentence(error, name, sys.argv[1:])))

        return main

    return decorate


def _end_with_the_sweep() -> None:
    """End this process when the sweep that started it is gone, however the sweep ended."""
    os.read(0, 1)
    os._exit(1)


def typed_overrides() -> list[str]:
    """The command-line overrides of the job that runs now."""
    return list(HydraConfig.get().overrides.task)


def _wants_traceback() -> bool:
    return os.environ.get("SEGLAB_TRACEBACK") == "1"


def _is_told(error: Exception) -> bool:
    """Whether an error is the user's or the system's, and not a mistake of ours, which needs its traceback."""
    ours = isinstance(error, InputError | HydraException | OmegaConfBaseException)
    return ours or (isinstance(error, OSError) and error.errno in _SYSTEM)


def _check_flags(words: list[str], name: str) -> None:
    """Raise InputError for a word that begins with a dash and is no flag of Hydra's."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise InputError(f"{message}; options are written as key=value, and python -m src.{name} --help lists them.")

    parser.error = refuse  # type: ignore[method-assign]
    parser.parse_args(words)


def _complain(message: str, *, status: int = 1) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


def _gathered(words: list[str], name: str, rest: str) -> list[str]:
    """Collect the words whose key is not in `conf/NAME.yaml` into a list `rest`; quote texts with commas."""
    own = {*OmegaConf.load(CONF / f"{name}.yaml"), "logger", "hydra"}
    kept, others = [], []
    for word in words:
        key, _, value = word.partition("=")
        if not word.startswith("-") and re.split(r"[.@]", key)[0] not in own:
            others.append(_quoted(word))
        else:
            kept.append(f"{key}={_quoted(value)}" if "," in value and value[0] not in "'\"[{" else word)
    return [*kept, f"{rest}=[{','.join(others)}]"] if others else kept


def _quoted(text: str) -> str:
    """A string in Hydra's grammar."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def sentence(error: Exception, name: str, words: list[str], *, besides: Collection[str] = ()) -> str:
    """The error message for the user, one line: no class name, no worker traceback; for a misspelt key, the valid ones.

    Args:
        error: what was raised.
        name: of the root config.
        words: of the command line.
        besides: keys that the command takes in addition to those of the config.
    """
    if isinstance(error, InputError):
        text = str(error).rsplit("InputError: ", 1)[-1].strip()  # a data worker prefixes its traceback
    elif isinstance(error, OSError) and not isinstance(error, HydraException):
        text = f"{error.filename or name}: {error.strerror}; choose another place, or make room there."
    else:
        text = _misspelt_key(name, words, besides) or unreadable(name, words) or _told(error, name, words)
    text = one_line(re.sub(r"\S{500,}", lambda found: f"{found[0][:200]}...{found[0][-200:]}", text))
    return text if len(text) <= 4000 else f"{text[:3000]} ... {text[-900:]}"


def _told(error: Exception, name: str, words: list[str]) -> str:
    """What Hydra or OmegaConf complain about, in our words where they are known."""
    if found := re.match(r"Ambiguous value for argument '(.*?)'\n1\.", str(error), re.DOTALL):
        key, _, value = found[1].partition("=")
        return (
            f"{key}={shown(value)}: commas make a sweep, which needs -m; a list needs brackets, {key}=[A,B]; "
            f"a text with a comma quotes that the shell leaves, '{key}=\"A,B\"'."
        )
    text = str(error).partition("\nConfig search path")[0].partition("\nSee https://")[0]
    if isinstance(error, OmegaConfBaseException):
        found = re.search(r"full_key: (\S+)", text)
        place = found[1] if found else next((shown(word) for word in words if "${" in word), name)
        return f"{place}: {text.partition(chr(10))[0]}."
    reason = f" ({str(error.__cause__).partition(chr(10))[0]})" if isinstance(error.__cause__, Exception) else ""
    return " ".join(text.split()) + reason


def _misspelt_key(name: str, typed: list[str], besides: Collection[str]) -> str | None:
    """A message about the first `key=value` whose key does not exist, with the valid keys; None if all keys exist."""
    words = [word for word in typed if "=" in word and not word.startswith(("-", "+", "~", "="))]
    groups = [word for word in words if word.partition("=")[0] in GROUPS]
    with composing():
        try:
            config = hydra.compose(name, overrides=[word for word in groups if "," not in word])
        except (HydraException, ValueError):
            return None  # the choice is wrong, not the key
        for key in (word.partition("=")[0] for word in words if word not in groups):
            if (problem := _unknown(config, key, besides)) is not None:
                return problem
    return None


def _unknown(config: DictConfig, key: str, besides: Collection[str]) -> str | None:
    node: Any = config
    path: list[str] = []
    for part in key.split("@")[0].replace("/", ".").split("."):
        if part == "hydra":
            return None
        if not OmegaConf.is_dict(node) or part not in node:
            valid = sorted({*map(str, node), *(besides if not path else ())}) if OmegaConf.is_dict(node) else []
            close = difflib.get_close_matches(part, valid, n=1)
            where = f"in {'.'.join(path)}" if path else "among the options"
            hint = f" Did you mean {'.'.join([*path, close[0]])}?" if close else ""
            known = ", ".join(valid) or "nothing below a value"
            return f"{shown(key)}: there is no '{shown(part)}' {where}.{hint} Valid: {known}."
        path.append(part)
        node = node[part] if not OmegaConf.is_missing(node, part) else None
    return None

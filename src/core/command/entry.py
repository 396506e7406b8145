"""The common part of all commands: composing the config, readable errors, exit status. Imports no torch."""

import errno
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.core.command.mistakes import check_words, sentence
from src.core.compose import register, typed
from src.core.errors import InputError, Interrupted, printable
from src.core.names import CONF

CHILD = "SEGLAB_JOB"  # set for each process of a sweep; such a process ends when its standard input closes
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")  # of torchrun, Lightning and SLURM

_SWEEP = ("-m", "--multirun")
_SYSTEM = (  # what the disk and the system refuse
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENAMETOOLONG),
    *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EMFILE, errno.ENFILE),
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
            _print_anywhere()
            if os.environ.get(CHILD):  # not removed: processes that this one starts must end with the sweep, too
                threading.Thread(target=_end_with_the_sweep, daemon=True).start()
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, _interrupt)
            launcher()
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come to us instead of to Hydra's own printer
            # Not wrapped by functools: Hydra would look for the job's module in the wrong place.
            job.__module__, job.__qualname__ = body.__module__, body.__qualname__
            try:
                _check_locale(sys.argv[1:])
                # argparse takes words on one side of a flag only.
                sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in _SWEEP)
                _check_flags(sys.argv[1:], name)
                sys.argv[1:] = register(sys.argv[1:])
                check_words(sys.argv[1:], name)
                if rest is not None:
                    sys.argv[1:] = _gathered(sys.argv[1:], name, rest)
                hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(job)()
            except KeyboardInterrupt:
                sys.exit(_complain("interrupted", status=130))
            except Interrupted as ended:
                sys.exit(_complain(str(ended), status=128 + ended.number))
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


def _print_anywhere() -> None:
    """Escape the characters that the screen's encoding does not have; by default they would end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _check_locale(words: list[str]) -> None:
    """Raise InputError for words or a folder that are not text in the locale's encoding; no file could hold them."""
    for text in (*words, str(Path.cwd())):
        try:
            text.encode()
        except UnicodeEncodeError:  # bytes that Python could not decode
            raise InputError(
                f"{text}: has characters that this locale lacks; set LC_ALL=C.UTF-8 or PYTHONUTF8=1, or rename it."
            ) from None


def _end_with_the_sweep() -> None:
    """End this process when the sweep that started it is gone, however the sweep ended."""
    os.read(0, 1)
    os._exit(1)


def _interrupt(number: int, _: Any) -> None:
    """End this process where it is; a training ends after its step instead, see `src.training.callbacks`."""
    raise Interrupted(number, "before it was done")


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
    print(printable(f"error: {message}", keep="\n"), file=sys.stderr)
    return status


def _gathered(words: list[str], name: str, rest: str) -> list[str]:
    """Collect the words whose key is not in `conf/NAME.yaml` into a list `rest`; quote texts with commas.

    A sweep is in these words whether or not there is an -m.
    """
    content = OmegaConf.load(CONF / f"{name}.yaml")
    groups = [str(group) for one in content.defaults if OmegaConf.is_dict(one) for group in one]
    own = {*content, *groups, "hydra"}
    kept, others = [], []
    for word in (word for word in words if word not in _SWEEP):
        key, _, value = word.partition("=")
        if not word.startswith("-") and re.split(r"[.@]", key)[0] not in own:
            others.append(_quoted(word))
        else:
            kept.append(f"{key}={_quoted(value)}" if "," in value and value[0] not in "'\"[{" else word)
    return [*kept, f"{rest}=[{','.join(others)}]"] if others else kept


def _quoted(text: str) -> str:
    """A string in Hydra's grammar, where a backslash counts only before a quote and at the end; `${...}` stays text."""
    text = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return "'" + re.sub(r"(\\*)('|\Z)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), text) + "'"

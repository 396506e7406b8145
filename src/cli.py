"""What all commands share: composing the config, readable errors, exit status. Imports no torch."""

import os
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from src.crf import presets
from src.errors import InputError
from src.jobs import CONF
from src.launcher import register_launcher
from src.sentences import sentence
from src.sweep import CHILD


def command(
    name: str, check: Callable[[DictConfig], None], *, rest: str | None = None
) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Make a command of a function: `conf/NAME.yaml` composed with the command line, checked, then run.

    Args:
        name: root config, and the module's name under `src`.
        check: raises `InputError` for an impossible config; runs before torch is imported.
        rest: key of the list that takes the words whose key the root config does not have; None: they are errors.

    What the user can put right ends in one sentence and exit status 1; Ctrl-C in 130. `SEGLAB_TRACEBACK=1` shows
    the whole traceback instead.
    """

    def decorate(body: Callable[[DictConfig], Any]) -> Callable[[], None]:
        def job(config: DictConfig) -> Any:
            try:
                if "variants" in config:
                    with open_dict(config):
                        config.variants = presets.expand(config.variants)
                check(config)
                sys.argv[1:] = presets.typed(sys.argv[1:])  # for the processes that a trainer of several starts
                return body(config)
            except (InputError, HydraException) as error:
                if HydraConfig.get().mode is RunMode.MULTIRUN or _wants_traceback():
                    raise
                told = _complain(sentence(error, name, sys.argv[1:]))
                sys.exit(told)  # past Hydra, which would announce it in its own words

        def main() -> None:
            if os.environ.get(CHILD):  # kept: processes that this one starts end with the sweep, too
                threading.Thread(target=_end_with_the_sweep, daemon=True).start()
            register_launcher()
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come to us instead of to Hydra's own printer
            # Not wrapped by functools: Hydra would look for the job's module in the wrong place.
            job.__module__, job.__qualname__ = body.__module__, body.__qualname__
            try:
                sys.argv[1:] = presets.register(sys.argv[1:])
                if rest is not None:
                    sys.argv[1:] = _gathered(sys.argv[1:], name, rest)
                hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(job)()
            except KeyboardInterrupt:
                sys.exit(_complain("interrupted", status=130))
            except SystemExit as ended:
                if isinstance(ended.__context__, KeyboardInterrupt):  # Lightning's way to end a training
                    sys.exit(_complain("interrupted; the same command goes on from the last whole epoch", status=130))
                raise
            except (InputError, HydraException, OmegaConfBaseException) as error:
                if _wants_traceback():
                    raise
                sys.exit(_complain(sentence(error, name, sys.argv[1:])))

        return main

    return decorate


def _end_with_the_sweep() -> None:
    """End this process when the sweep that started it is gone, however that ended."""
    os.read(0, 1)
    os._exit(1)


def typed_overrides() -> list[str]:
    """The overrides of the command line of the job that runs now."""
    return list(HydraConfig.get().overrides.task)


def _wants_traceback() -> bool:
    return os.environ.get("SEGLAB_TRACEBACK") == "1"


def _complain(message: str, *, status: int = 1) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


def _gathered(words: list[str], name: str, rest: str) -> list[str]:
    """Words of keys that `conf/NAME.yaml` does not have, as a list `rest`; texts with commas quoted."""
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

"""Runs commands in forks of a process that has imported what takes seconds to import: `python -m tests.warm [light]`.

With `light`, this is only what commands import before torch, and torch cannot be imported.

A request is a line of standard input in JSON: `[module, arguments, folder, output file, error file, environment
variables, deadly]`; the answer is one line with the exit status. `deadly` is null, or a file, a number of lines,
seconds and a signal: the command gets the signal so many seconds after the file has so many lines.
"""

import contextlib
import gc
import json
import os
import runpy
import signal
import sys
import time
import traceback
from pathlib import Path

from hydra._internal.hydra import Hydra

if "light" in sys.argv:
    sys.modules["torch"] = None  # importing it raises ImportError
    from src.reporting import request  # noqa: F401
    from src.reporting.output import publish  # noqa: F401
    from src.training.sweeps import launcher  # noqa: F401
else:
    from src.core.names import load_plugins
    from src.crf.cpu import meanfield  # noqa: F401
    from src.crf.gpu import meanfield as gpu  # noqa: F401
    from src.evaluation import build  # noqa: F401
    from src.evaluation.prediction import job  # noqa: F401
    from src.evaluation.scoring import logits, results, score  # noqa: F401
    from src.evaluation.tuning import preset, search  # noqa: F401
    from src.reporting.output import page  # noqa: F401
    from src.reporting.output.figures import plots  # noqa: F401
    from src.training import fit, recipe  # noqa: F401

    load_plugins(str(Path(__file__).with_name("tiny.py")))  # that every command of a test could need
HOLD = os.WEXITED | os.WNOHANG | os.WNOWAIT  # look whether it has ended, without taking leave of it


def child(module, arguments, folder, output, error, variables):
    gc.freeze()  # else it would walk all that was imported, again and again
    os.environ.update(variables)
    signal.alarm(int(os.environ.get("SEGLAB_TEST_SECONDS", "0")))  # ends what would never end
    os.chdir(folder)
    for path, descriptor in ((output, 1), (error, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [module, *arguments]
    if not any("table" in word or "hydra" in word for word in arguments):
        Hydra.get_mode = lambda self, config_name, overrides: None  # which no config sets; half of the time
    try:
        runpy.run_module(f"src.{module}", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def has_lines(path, count):
    try:
        return Path(path).read_bytes().count(b"\n") >= count
    except OSError:
        return False


def main():
    for line in sys.stdin:
        *request, deadly = json.loads(line)
        process = os.fork()
        if process == 0:
            status = 1
            with contextlib.suppress(BaseException):
                status = child(*request)
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)
        while deadly and not has_lines(*deadly[:2]) and os.waitid(os.P_PID, process, HOLD) is None:
            time.sleep(0.02)
        if deadly:
            time.sleep(deadly[2])
            os.kill(process, deadly[3])
        _, ended = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)


if __name__ == "__main__":
    main()

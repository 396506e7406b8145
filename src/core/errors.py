"""The exceptions that end a command with a sentence instead of a traceback."""

import signal


class InputError(ValueError):
    """Bad input: the message is one sentence that names the file, key or value and says what to do.

    The commands print the message alone, without a traceback (`SEGLAB_TRACEBACK=1` brings it back).
    """


class Interrupted(SystemExit):
    """The system asks the command to end, with SIGTERM or another signal; the exit status is 128 + its number."""

    def __init__(self, number: int, how: str) -> None:
        super().__init__(128 + number)
        self.number = number
        self.how = how

    def __str__(self) -> str:
        return f"ended by {signal.Signals(self.number).name} {self.how}; the same command goes on."

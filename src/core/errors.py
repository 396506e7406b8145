"""What a user is told: the exceptions that end a command with a sentence, and foreign text made safe to show."""

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


def printable(text: object, *, keep: str = "") -> str:
    """The text with every character that a terminal or a reader would not see as itself written as an escape.

    So a name that holds an ESC, a newline, half a character or a change of the writing direction stays a name.

    Args:
        text: anything; `str` of it is taken.
        keep: characters that stay as they are.
    """
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in str(text))

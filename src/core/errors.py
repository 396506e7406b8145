"""The one exception for mistakes that a user can fix."""


class InputError(ValueError):
    """Bad input: the message is one sentence that names the file, key or value and says what to do.

    The commands print the message alone, without a traceback (`SEGLAB_TRACEBACK=1` brings it back).
    """

"""The errors people are expected to meet: one clear line each, without a traceback."""


class PlatformError(Exception):
    """A failure whose message says what went wrong, where, and what to do about it.

    The command line prints the message as one line and exits with `exit_code`.
    """

    exit_code = 1

"""What ends a command with one line on stderr and an exit code, wherever it was noticed."""


class CommandError(Exception):
    """An expected failure: the message is the line, `exit_code` what the process ends with."""

    exit_code = 1

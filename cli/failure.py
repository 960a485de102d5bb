"""What the person at the terminal is told when a command cannot go on."""


class Failure(Exception):
    """A sentence that says what is wrong and what to do; it is printed without a traceback, and the exit code is 1."""

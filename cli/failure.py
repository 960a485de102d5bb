"""What the person at the terminal is told when a command cannot go on."""

NOT_ALLOWED, OVER_LIMIT, UNREACHABLE = 4, 5, 6


class Failure(Exception):
    """A sentence that says what is wrong and what to do; it is printed without a traceback.

    `exit_code` is 1, or of those above: the key does not fit, there is no quota left, nobody answers.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code

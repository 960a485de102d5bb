"""What a rule finds in a line; the scanner adds the position in the file and makes a `Problem` of it."""

from typing import NamedTuple


class Finding(NamedTuple):
    """Something wrong in a line. `path` leads into its JSON as `$.messages[2].role`; None if the line cannot be read.

    `offset` is the byte within the line where its JSON breaks. `hint` replaces the code's usual hint.
    """

    code: str
    path: str | None
    message: str
    offset: int | None = None
    hint: str | None = None


class UnreadableLine(Exception):
    """The line is not valid JSON, so no rule can examine it."""

    def __init__(self, code: str, message: str, offset: int | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.finding = Finding(code, None, message, offset, hint)

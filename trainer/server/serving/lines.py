"""What a chat gets, line by line, from whatever answers for a base; and why it may get nothing now."""

import math
from typing import Any

Line = dict[str, Any]


class Unavailable(Exception):
    """The request gets this error line instead of an answer, or of its rest."""

    def __init__(
        self, status: int, code: str, message: str, retry_after: float | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        error: Line = {"status": status, "code": code, "message": message, "param": param}
        self.line: Line = {"error": error if retry_after is None else error | {"retry_after": math.ceil(retry_after)}}


class NoMemory(Unavailable):
    """The base does not fit into what is free now; it may fit once another base has left."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(429, "out_of_memory", message, retry_after)

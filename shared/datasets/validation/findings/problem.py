"""A problem of a file: a code with its severity and hint, a sentence, and where it is."""

import msgspec

from shared.datasets.validation.findings.codes import CODES, Severity


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """`line` counts from 1, `offset` in bytes from the start of the file, `path` leads into the line's JSON.

    A problem of the whole file has neither line nor offset. The offset is where the line begins or, for broken JSON,
    the byte where it breaks.
    """

    code: str
    severity: Severity
    message: str
    line: int | None = None
    offset: int | None = None
    path: str | None = None
    hint: str | None = None

    def moved(self, lines: int) -> "Problem":
        """The same problem in a file that has `lines` more lines before it."""
        return self if self.line is None else msgspec.structs.replace(self, line=self.line + lines)


def problem(
    code: str,
    message: str,
    *,
    line: int | None = None,
    offset: int | None = None,
    path: str | None = None,
    hint: str | None = None,
) -> Problem:
    """A problem with the severity of its code, and with the code's hint unless another `hint` is given."""
    known = CODES[code]
    return Problem(
        code=code,
        severity=known.severity,
        message=message,
        line=line,
        offset=offset,
        path=path,
        hint=hint or known.hint,
    )

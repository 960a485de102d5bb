"""Examines one line that is not plain: reads it strictly, then by the rules of its format, then for secrets."""

from collections.abc import Iterator
from typing import Any

from shared.datasets.validation.lines.fast import is_suspicious, secret
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.rules.strict_json import Finding, Unreadable, read, texts
from shared.datasets.validation.rules.structure import Examined, examine


def examine_line(line: bytes, format: str | None, provider: str) -> Examined:
    """All that is wrong with a line, and its turns unless there is an error among that."""
    try:
        value, findings = read(line)
    except Unreadable as unreadable:
        return Examined([unreadable.finding], [])
    examined = examine(value, format, rules().limits(provider))
    return Examined([*findings, *examined.findings, *_secrets(value, line)], examined.turns)


def _secrets(value: Any, line: bytes) -> Iterator[Finding]:
    if not is_suspicious(line):
        return
    for path, text in texts(value):
        for found in (match.group() for match in secret.finditer(text)):
            if found.startswith("-") or any(map(str.isdigit, found)):  # words joined by hyphens have no digits
                yield Finding("secret", path, f"this looks like a secret key: {found[:8]}…")

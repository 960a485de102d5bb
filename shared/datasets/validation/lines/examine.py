"""Examines one line rule by rule, if neither the plain nor the rich types accept it.

This is the slow path of a check, and the only one that yields findings about the content of a line.
"""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import msgspec

from shared.datasets.validation.findings.finding import Finding, UnreadableLine
from shared.datasets.validation.lines.secrets import SECRET, is_secret, is_suspicious, may_have_secret
from shared.datasets.validation.reading.strict_json import read_strictly, texts_with
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.rules.structure import Examined, examine

_encode = msgspec.json.Encoder().encode


def examine_line(line: bytes, format: str | None, provider: str) -> Examined:
    """What is wrong with a line, and its messages as they are counted; none if there is an error.

    A line with more than `line_findings` is not examined to its end: that is its last finding.
    """
    try:
        value, findings = read_strictly(line)
    except UnreadableLine as unreadable:
        return Examined([unreadable.finding], [])
    examined = examine(value, format, rules().limits(provider))
    most = rules().ours.line_findings
    found = [*islice(chain(examined.findings, findings, _secrets(value, line)), most + 1)]
    if len(found) <= most:
        return Examined(found, examined.messages)
    found[most] = Finding("too_many_findings", "$", f"more than {most:,} things are wrong in this line")
    return Examined(found, [])


def _secrets(value: Any, line: bytes) -> Iterator[Finding]:
    if not is_suspicious(line) or (b"\\u00" in line and not may_have_secret(_encode(value))):
        return
    for path, text in texts_with(SECRET, value):
        for found in (match.group() for match in SECRET.finditer(text)):
            if is_secret(found):
                yield Finding("secret", path, f"the text contains what looks like a secret key: {found[:8]}…")

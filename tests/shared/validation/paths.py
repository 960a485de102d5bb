"""Examines one line on every path that takes it, asserts that the paths agree, and returns what they found."""

import json
from collections import Counter
from io import BytesIO
from typing import Any

from shared.datasets.validation.findings.codes import Severity, severity_of
from shared.datasets.validation.lines.examine import examine_line
from shared.datasets.validation.lines.plain import PLAIN_FORMATS, read_plain
from shared.datasets.validation.lines.rich import RichDecoder
from shared.datasets.validation.lines.secrets import is_suspicious
from shared.datasets.validation.rules.counted_message import CountedMessage
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning.scanner import RangeScanner, ScanOptions

OF_ROLES = {"missing_system_message", "missing_user_message", "last_message_not_assistant", "many_messages"}
SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "What is one and one?"}
ANSWER = {"role": "assistant", "content": "Two."}
Case = tuple[Any, list[str]]


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    """A chat example that has no finding if `messages` have none."""
    return {"messages": [SYSTEM, *messages, USER, ANSWER], **more}


def found(example: Any, format: str = "chat", provider: str = "openai") -> list[str]:
    """What is found in a line, as `severity code path`, sorted. `example` is a value, or the bytes of the line."""
    line = example if isinstance(example, bytes) else json.dumps(example).encode()
    findings, messages = examine_line(line, format, provider)
    expected = sorted(_shown(finding.code, finding.path) for finding in findings)
    assert bool(messages) == (not any(each.startswith("error") for each in expected))
    _assert_decoders_agree(line, format, provider, [finding.code for finding in findings], messages)
    result = RangeScanner(ScanOptions(format=format, provider=provider)).scan(BytesIO(line), 0, len(line))
    problems = [*result.errors, *result.warnings]
    assert sorted(_shown(problem.code, problem.path) for problem in problems) == expected
    assert all(problem.line == 1 and problem.message and problem.hint for problem in problems)
    return expected


def _shown(code: str, path: str | None) -> str:
    severity = "error" if severity_of(code) is Severity.ERROR else "warning"
    return f"{severity} {code} {path}" if path else f"{severity} {code}"


def _assert_decoders_agree(
    line: bytes, format: str, provider: str, codes: list[str], messages: list[CountedMessage]
) -> None:
    """A decoder may refuse any line; one that it takes has no finding besides those that are found without rules."""
    plain = read_plain([line], line, PLAIN_FORMATS[format], is_suspicious(line))
    if plain is not None:
        (decoded,) = plain.examples
        may_have = (
            set(plain.codes)
            | OF_ROLES
            | {"identical_outputs", "example_missing_assistant_message", "last_message_not_user"}
        )
        assert set(codes) <= may_have, "lines/plain.py takes this line, so that no rule of one message sees it"
        if messages:
            assert [(each.role, each.content) for each in decoded] == [(each.role, each.content) for each in messages]
    read = RichDecoder(format, rules().limits(provider)).read([line], line, is_suspicious(line))
    if read is not None:
        counted = Counter(code for code in codes if code not in OF_ROLES)
        assert read.found == counted, "lines/rich.py takes this line, so that no rule of one message sees it"
        assert read.examples == [messages]

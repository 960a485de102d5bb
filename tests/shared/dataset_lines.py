"""Lines of training data for tests, and their check."""

import json
from io import BytesIO
from typing import Any

from shared.datasets.validation.check import check
from shared.datasets.validation.findings.report import Report

NUMBERS = range(12)


def chat(number: int = 0, **more: Any) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"What is {number} and one?"},
        {"role": "assistant", "content": f"It is {number + 1}."},
    ]
    return {"messages": messages, **more}


def lines(*examples: Any) -> bytes:
    return b"".join(json.dumps(example).encode() + b"\n" for example in examples)


GOOD = lines(*map(chat, NUMBERS))


def checked(content: bytes, **asked: Any) -> Report:
    return check(BytesIO(content), **{"tokens": False, **asked})


def codes(report: Report) -> set[str]:
    return set(report.counts)


def said(user: str, more: str = "") -> bytes:
    """A line as it is written by hand: escapes and repeated keys stay as they are."""
    return (
        f'{{"messages": [{{"role": "user", "content": "{user}"}}, {{"role": "assistant", "content": "b"{more}}}]}}\n'
    ).encode()

"""Counts what is wrong with the texts of a line, where it need not be said in which: secrets, NUL, surrogates."""

import json
import re
from collections.abc import Sequence
from typing import Any

from shared.datasets.validation.lines.secrets import SECRET, is_secret, may_have_secret
from shared.datasets.validation.reading.strict_json import ESCAPED_COLON, SURROGATE

# No rule about a text sees beyond its end: this is no character of a word nor of a secret.
_BETWEEN = "\n"
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def codes_of_texts(value: Any) -> list[str]:
    """The code of each finding in the texts inside a value, its keys included."""
    texts = _texts(value)
    joined = _BETWEEN.join(texts)
    codes = ["nul_character"] * sum("\0" in text for text in texts) if "\0" in joined else []
    if SURROGATE.search(joined):
        codes += ["lone_surrogate"] * sum(SURROGATE.search(text) is not None for text in texts)
    elif not may_have_secret(joined):
        return codes
    return codes + ["secret"] * sum(is_secret(match.group()) for match in SECRET.finditer(joined))


def _texts(value: Any) -> list[str]:
    texts: list[str] = []
    waiting = [value]
    for inner in waiting:  # grows meanwhile
        if type(inner) is str:
            texts.append(inner)
        elif type(inner) is dict:
            texts += inner
            waiting += inner.values()
        elif type(inner) is list:
            waiting += inner
    return texts


def values_with_surrogates(lines: Sequence[bytes]) -> list[Any] | None:
    """The values of lines of which some have half a surrogate pair, which msgspec refuses.

    None if one of them repeats a key, or if none has such a character.
    """
    if not any(map(_ESCAPED_SURROGATE.search, lines)) or any(map(ESCAPED_COLON.search, lines)):
        return None
    values = [json.loads(line.decode()) for line in lines]
    colons = zip(map(json.dumps, values), lines, strict=True)
    return values if all(text.count(":") == line.count(b":") for text, line in colons) else None

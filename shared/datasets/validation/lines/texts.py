"""Counts what is wrong with the texts of lines, where it need not be said in which: secrets, NUL, surrogates."""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from shared.datasets.validation.lines.secrets import SECRET, is_secret, may_have_secret
from shared.datasets.validation.reading.strict_json import ESCAPED_COLON, SURROGATE

# No rule about a text sees beyond its end: this is no character of a word nor of a secret.
_BETWEEN = "\n"
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_decode = msgspec.json.Decoder().decode


class Texts(NamedTuple):
    """All texts inside a value, and how many of them are keys."""

    texts: list[str]
    keys: int


def codes_of_texts(value: Any) -> list[str]:
    """The code of each finding in the texts inside a value, its keys included."""
    texts = _texts_in(value).texts
    joined = _BETWEEN.join(texts)
    codes = ["nul_character" for text in texts if "\0" in text] if "\0" in joined else []
    if SURROGATE.search(joined):
        codes += ["lone_surrogate" for text in texts if not text.isascii() and SURROGATE.search(text)]
    elif not may_have_secret(joined):
        return codes
    return codes + ["secret" for match in SECRET.finditer(joined) if is_secret(match.group())]


def _texts_in(value: Any) -> Texts:
    texts: list[str] = []
    keys, waiting = 0, [value]
    for inner in waiting:  # grows meanwhile
        if type(inner) is str:
            texts.append(inner)
        elif type(inner) is dict:
            keys += len(inner)
            texts += inner
            waiting += inner.values()
        elif type(inner) is list:
            waiting += inner
    return Texts(texts, keys)


def values_with_surrogates(lines: Sequence[bytes], data: bytes) -> list[Any] | None:
    """The values of lines of which some have half a surrogate pair, which msgspec refuses.

    None if none of them has, or if one may repeat a key; see `repeats_a_key`.
    """
    if not _ESCAPED_SURROGATE.search(data) or ESCAPED_COLON.search(data):
        return None
    values = [json.loads(line.decode()) if _ESCAPED_SURROGATE.search(line) else _decode(line) for line in lines]
    texts, keys = _texts_in(values)
    return values if keys + _BETWEEN.join(texts).count(":") == data.count(b":") else None

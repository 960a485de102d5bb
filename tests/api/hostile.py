"""Hostile input: values, bodies, texts and headers, and a function that puts them into each field of a body."""

import json
from collections.abc import Iterator
from typing import Any

from tests.api.wire import Answer, send
from tests.world import Person

CANARY = "sk-proj-CANARY0123456789"
HOSTILE = "@hostile@"
DEEP = 300


def nested(opening: str, closing: str, depth: int) -> str:
    return opening * depth + "1" + closing * depth


# As JSON writes them; None of these is a Python value, since many could not be.
VALUES = {
    "NUL": '"a\\u0000b"',
    "half a surrogate pair": '"\\ud800"',
    "the other half": '"a\\udfffb"',
    "surrogates in the wrong order": '"\\udc00\\ud800"',
    "a key with a NUL": '{"a\\u0000": "b"}',
    "a key with a surrogate": '{"\\ud800": "b"}',
    "a key in brackets with a surrogate": '{"[\\ud800]": "b"}',
    "a secret as a value": f'{{"provider_api_key": "{CANARY}"}}',
    "a secret": f'"{CANARY} "',
    "a secret in a list": f'["{CANARY}"]',
    "a secret as a key": f'{{"{CANARY}": {{"a": 1}}}}',
    "a secret as a key in brackets": f'{{"[{CANARY}]": {{"a": 1}}}}',
    "300 lists": nested("[", "]", DEEP),
    "300 objects": nested('{"a":', "}", DEEP),
    "100 objects": nested('{"a":', "}", 100),
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "a number beyond doubles": "1e999",
    "NaN in an object": '{"a": NaN}',
    "Infinity in an object": '{"a": [Infinity]}',
    "1e999 in an object": '{"a": 1e999}',
    "30 digits": "9" * 30,
    "30 digits, negative": "-" + "9" * 30,
    "30 digits in an object": '{"a": ' + "9" * 30 + "}",
    "5,000 digits": "9" * 5000,
    "5,000 digits in an object": '{"a": ' + "9" * 5000 + "}",
    "5,000 digits in a text": '"' + "9" * 5000 + '"',
    "a small fraction": "1e-400",
    "a fraction for a whole number": "1.5",
    "2**31": "2147483648",
    "2**63": "9223372036854775808",
    "-1": "-1",
    "true": "true",
    "false": "false",
    "null": "null",
    "null in a list": "[null]",
    "an empty text": '""',
    "an empty list": "[]",
    "an empty object": "{}",
    "lists in lists": "[[], [[]], {}]",
    "200,000 letters": '"' + "a" * 200_000 + '"',
    "a key of 200,000 letters": '{"' + "a" * 200_000 + '": 1}',
    "a key of 200,000 letters in brackets": '{"[' + "a" * 200_000 + ']": 1}',
    "10,000 items": json.dumps(["a"] * 10_000),
    "10,000 keys": json.dumps({f"key{number}": "v" for number in range(10_000)}),
    "duplicate keys": '{"a": "1", "a": "2"}',
    "a prototype": '{"__proto__": {"a": 1}, "constructor": 1, "__class__": "x"}',
    "an injection": '"\'; drop table jobs; --"',
    "a template": '"{{7*7}} ${7*7} %s %(a)s {0.__class__}"',
    "line ends": '"a\\r\\nx-injected: 1"',
    "right to left": '"\\u202egpj.exe"',
    "combining marks": '"e' + "\\u0301" * 500 + '"',
    "noncharacters": '"\\uffff\\ufffe"',
    "astral": '"\\ud83d\\ude00"',
    "a path": '"../../../../etc/passwd"',
    "a file's address": '"file:///etc/passwd"',
    "a private address": '"https://169.254.169.254/latest/meta-data"',
    "an address that breaks parsers": '"https://[::1"',
    "an address with a port beyond ports": '"https://example.com:99999999/"',
    "an address with a password": f'"https://a:{CANARY}@example.com/"',
    "an address with a NUL": '"https://example.com/\\u0000"',
    "an address with a surrogate": '"https://\\ud800.example.com/"',
    "an address of 3,000 letters": '"https://example.com/' + "a" * 3000 + '"',
}


def a_job_in(encoding: str) -> bytes:
    return json.dumps({"model": "gpt-4o-mini", "training_file": "file-1"}).encode(encoding)


# Bodies that are no JSON in UTF-8, or hardly.
BODIES = {
    "nothing": b"",
    "spaces": b"   \r\n",
    "half a text": b'{"model": "gpt',
    "half an object": b'{"model": ',
    "a comma too many": b'{"model": "x",}',
    "two values": b"{}{}",
    "a comment": b'{"model": 1 /* one */}',
    "single quotes": b"{'model': 'x'}",
    "a NUL": b"\0",
    "a NUL after the end": b"{}\0",
    "a raw NUL in a text": b'{"model": "a\0b"}',
    "invalid UTF-8 in a text": b'{"model": "\xff\xfe", "name": "\xff"}',
    "invalid UTF-8 in a key": b'{"\xff": 1, "model": "gpt-4o-mini"}',
    "an overlong form": b'{"model": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"model": "\xed\xa0\x80"}',
    "a BOM": a_job_in("utf-8-sig"),
    "UTF-16": a_job_in("utf-16"),
    "UTF-16 without a BOM": a_job_in("utf-16-le"),
    "UTF-32": a_job_in("utf-32"),
    "100,000 lists": b"[" * 100_000 + b"]" * 100_000,
    "100,000 lists without an end": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "5,000 digits": b"9" * 5000,
    "NaN": b"NaN",
    "a text": b'"text"',
    "a list": b"[]",
    "null": b"null",
    "a secret": f'{{"model": {CANARY}}}'.encode(),
    "a secret in pieces": f'{{"model": "{CANARY}'.encode(),
    "a form": b"model=gpt-4o-mini&training_file=" + CANARY.encode(),
    "XML": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00",
    "pickle": b"\x80\x04\x95cos\nsystem\n",
    "twice the same key": b'{"model": "gpt-4o-mini", "model": "gpt-4o"}',
}
# As they stand on the wire, in a path or a query.
TEXTS = {
    "a NUL": "%00",
    "a NUL in the middle": "file-%00x",
    "invalid UTF-8": "%ff%fe",
    "an overlong form": "%c0%af",
    "a surrogate in UTF-8": "%ed%a0%80",
    "half a percent": "%",
    "no hexadecimal": "%zz",
    "IIS's own": "%u0041",
    "a line end": "%0d%0ax-injected:%201",
    "a slash": "a%2fb",
    "a path": "..%2f..%2f..%2fetc%2fpasswd",
    "dots": "..",
    "a backslash": "..%5c..%5cwindows",
    "a colon": "ft:gpt-4o:a::b",
    "a semicolon": "a;b=c",
    "a question mark": "%3flimit=1",
    "a plus": "a+b",
    "an injection": "%27%3b%20drop%20table%20jobs%3b--",
    "a wildcard": "%25",
    "a template": "%7b%7b7*7%7d%7d",
    "5,000 letters": "a" * 5000,
    "5,000 digits": "9" * 5000,
    "30 digits": "9" * 30,
    "a negative number": "-1",
    "a fraction": "1.5",
    "not a number": "nan",
    "an emoji": "%f0%9f%98%80",
    "Arabic digits": "%d9%a1%d9%a2",
    "an empty text": "%20",
    "null": "null",
    "a secret": CANARY,
}
HEADERS: tuple[dict[str, str], ...] = (
    {"authorization": "Bearer " + "a" * 8000},
    {"authorization": "Bearer \xff\xfe"},
    {"authorization": "Bearer"},
    {"authorization": "Basic YTpi"},
    {"authorization": "bearer  "},
    {"authorization": f"Bearer {CANARY}"},
    {"authorization": CANARY},
    {"x-request-id": "\xff" * 100},
    {"x-request-id": CANARY * 100},
    {"accept": "\xff"},
    {"accept-encoding": "a" * 5000},
    {"content-encoding": "gzip"},
    {"host": "evil.example"},
    {"x-forwarded-host": "evil.example"},
    {"x-http-method-override": "DELETE"},
    {"expect": "the unexpected"},
    {"cookie": "a=" * 2000},
    {"range": "bytes=0-0,0-0"},
    {"openai-organization": "\xff", "openai-project": CANARY},
)


def spoilt(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the value once for each field in it, with a hostile value there; objects also with an additional key."""
    yield place, HOSTILE
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    for key, inner in items:
        for where, bad in spoilt(inner, f"{place}.{key}"):
            copy = value.copy()
            copy[key] = bad
            yield where, copy
    if isinstance(value, dict):
        yield f"{place}.(new)", {**value, "zz_new": HOSTILE}


def in_place(body: Any, literal: str) -> bytes:
    return json.dumps(body).replace(json.dumps(HOSTILE), literal).encode()


def assert_harmless(answer: Answer, where: str = "") -> None:
    """It was answered on purpose; and if it was refused, what was sent is not said again.

    The name of a thing that is not there is: «No such File object: file-…».
    """
    assert answer.status < 500, f"{where}: {answer.status} {answer.text[:200]}"
    if answer.status >= 400:
        assert answer.error, where
        assert len(answer.body) < 2000, where
        is_named = answer.error["code"] in {"not_found", "model_not_found", "unknown_url"}
        assert is_named or CANARY not in answer.text, f"{where}: {answer.text[:200]}"


def assert_still_serving(person: Person) -> None:
    """Assert that the lists can still be read, with everything that was accepted."""
    for path in ("/files", "/fine_tuning/jobs", "/webhook_endpoints", "/models"):
        answer = send(person, "GET", path)
        assert answer.status == 200, f"{path}: {answer.text[:200]}"

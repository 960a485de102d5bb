"""Hostile forms and content types are refused or handled safely."""

import json

import pytest

from tests.api.hostile import CANARY, assert_harmless, assert_still_serving
from tests.api.wire import form, part, send
from tests.world import Person, lines

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "q"}]}
TAKE_A_BODY = ("/uploads", "/fine_tuning/jobs", "/webhook_endpoints", "/chat/completions", "/files")
CONTENT_TYPES = (
    "",
    "text/plain",
    "text/plain; charset=utf-16",
    "application/json; charset=utf-16",
    "application/json; charset=no-such-charset",
    "application/json; boundary=x",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    "application/xml",
    "application/vnd.api+json",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "multipart/form-data; boundary=" + "x" * 500,
    'multipart/form-data; boundary="\xff"',
    "multipart/mixed; boundary=x",
    "/",
    ";;;",
    "application/json, text/plain",
    "application/" + "x" * 5000,
)


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_a_strange_content_type(mallory: Person, content_type: str) -> None:
    for path in TAKE_A_BODY:
        answer = send(mallory, "POST", path, json.dumps(CHAT).encode(), {"content-type": content_type})
        assert_harmless(answer, path)
        assert answer.status == 400 or path == "/chat/completions", path


FORM_FIELDS = {
    "purpose with a NUL": ("purpose", b"fine-tune\0"),
    "purpose in UTF-16": ("purpose", "fine-tune".encode("utf-16")),
    "a secret as purpose": ("purpose", CANARY.encode()),
    "a long purpose": ("purpose", b"a" * 100_000),
    "a field without a name": ("", b"x"),
    "a field of 200 letters": ("a" * 200, b"x"),
    "a NUL in a name": ("a\0b", b"x"),
    "seconds of 5,000 digits": ("expires_after[seconds]", b"9" * 4000),
    "seconds of 30 digits": ("expires_after[seconds]", b"9" * 30),
    "seconds that are none": ("expires_after[seconds]", b"nan"),
    "seconds in Arabic": ("expires_after[seconds]", "٣٦٠٠".encode()),
    "invalid UTF-8 for seconds": ("expires_after[seconds]", b"\xff"),
    "another anchor": ("expires_after[anchor]", CANARY.encode()),
    "no bracket": ("expires_after[seconds", b"3600"),
}


@pytest.mark.parametrize(("name", "value"), FORM_FIELDS.values(), ids=FORM_FIELDS.keys())
def test_a_hostile_field_beside_a_file(mallory: Person, name: str, value: bytes) -> None:
    purpose = [] if name == "purpose" else [part("purpose", b"fine-tune")]
    body = form(*purpose, part(name, value), part("file", lines(), "train.jsonl"))
    answer = send(mallory, "POST", "/files", body, {"content-type": "multipart/form-data; boundary=the-boundary"})
    assert answer.status == 400
    assert_harmless(answer)


FILE_NAMES = {
    "a NUL": "a\0.jsonl",
    "a path": "../../../../etc/cron.d/x",
    "a path of Windows": "C:\\windows\\system32\\x.jsonl",
    "dots": "..",
    "a slash": "/",
    "nothing": "",
    "spaces": "   ",
    "a line end": "a%0d%0ab",
    "a tab": "a\tb",
    "right to left": "a\u202egpj.jsonl",
    "an emoji": "\U0001f600.jsonl",
    "1,000 letters": "a" * 1000,
    "5,000 letters": "a" * 5000,
    "a quote": 'a\\"b.jsonl',
    "a semicolon": "a; name=purpose",
    "markup": "<script>alert(1)</script>.jsonl",
}


@pytest.mark.parametrize("name", FILE_NAMES.values(), ids=FILE_NAMES.keys())
def test_a_hostile_file_name_is_a_label_or_refused(mallory: Person, name: str) -> None:
    body = form(part("purpose", b"fine-tune"), part("file", lines(), name))
    answer = send(mallory, "POST", "/files", body, {"content-type": "multipart/form-data; boundary=the-boundary"})
    assert_harmless(answer)
    if answer.status == 200:
        assert "/" not in answer.json["filename"]
        assert answer.json["filename"].isprintable()
        assert send(mallory, "GET", f"/files/{answer.json['id']}/content").body == lines()
    assert_still_serving(mallory)

"""Input that is meant to hurt, for every operation that takes any: it is refused or taken, and never breaks a thing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.database import transaction
from shared.projects import service as projects
from tests.api.people import member
from tests.api.wire import Answer, form, part, send
from tests.world import Person, Sandbox, empty_tables, lines

CANARY = "sk-proj-CANARY0123456789"
HOSTILE = "@hostile@"
DEEP = 300


@pytest.fixture(scope="module")
def mallory(server: str, sandbox_server: Sandbox) -> Iterator[Person]:
    """She has a key, and means no good. One for all inputs: what one of them breaks, the next ones shall feel."""
    with member(server, "mallory's team") as mallory:
        yield mallory
    empty_tables()


@pytest.fixture(scope="module")
def admin_key(mallory: Person) -> str:
    """She has stolen that one."""
    with transaction() as session:
        return projects.create_api_key(session, None, "stolen")[1]


@pytest.fixture(scope="module")
def training_file(mallory: Person) -> str:
    return mallory.upload()


@pytest.fixture(scope="module")
def job_id(mallory: Person, training_file: str) -> str:
    return mallory.create_job(training_file=training_file)


def assert_harmless(answer: Answer, where: str = "") -> None:
    """It was answered on purpose; and if it was refused, what was sent is not said again.

    The name of a thing that is not there is: «No such File object: file-…».
    """
    assert answer.status < 500, f"{where}: {answer.status} {answer.text[:200]}"
    if answer.status >= 400:
        assert answer.error, where
        assert len(answer.body) < 2000, where
        assert CANARY not in answer.text or answer.error["code"] in {"not_found", "model_not_found"}, where


def assert_still_serving(mallory: Person) -> None:
    """What was taken in can be read, by the lists too."""
    for path in ("/files", "/fine_tuning/jobs", "/webhook_endpoints", "/models"):
        answer = send(mallory, "GET", path)
        assert answer.status == 200, f"{path}: {answer.text[:200]}"


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


def job(training_file: str) -> dict[str, Any]:
    grader = {"type": "string_check", "name": "n", "input": "i", "reference": "r", "operation": "eq"}
    return {
        "model": "gpt-4o-mini",
        "training_file": training_file,
        "suffix": "x",
        "seed": 1,
        "method": {
            "type": "reinforcement",
            "supervised": {"hyperparameters": {"n_epochs": 1}},
            "dpo": {"hyperparameters": {"beta": 1}},
            "reinforcement": {"grader": grader, "hyperparameters": {"eval_samples": 1}, "response_format": {"a": 1}},
        },
        "hyperparameters": {"n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 1},
        "integrations": [{"type": "wandb", "wandb": {"project": "p", "name": "n", "tags": ["t"]}}],
        "metadata": {"k": "v"},
        "validation_file": training_file,
    }


UPLOAD = {
    "filename": "a.jsonl",
    "purpose": "fine-tune",
    "bytes": 1,
    "mime_type": "text/jsonl",
    "expires_after": {"anchor": "created_at", "seconds": 3600},
}
ENDPOINT = {"name": "n", "url": "https://example.com/hook", "event_types": ["fine_tuning.job.succeeded"]}
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "q"}], "stream": False, "n": 1}


def spoilt(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The value once for each place in it, with something hostile at that place; in an object also as one more key."""
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


@pytest.mark.parametrize("literal", VALUES.values(), ids=VALUES.keys())
def test_a_hostile_value_in_any_field_of_a_job(mallory: Person, training_file: str, literal: str) -> None:
    for where, body in spoilt(job(training_file)):
        assert_harmless(send(mallory, "POST", "/fine_tuning/jobs", in_place(body, literal)), where)
    assert_still_serving(mallory)


@pytest.mark.parametrize("literal", VALUES.values(), ids=VALUES.keys())
def test_a_hostile_value_in_any_field_of_a_webhook_endpoint(mallory: Person, literal: str) -> None:
    for where, body in spoilt(ENDPOINT):
        assert_harmless(send(mallory, "POST", "/webhook_endpoints", in_place(body, literal)), where)
    assert_still_serving(mallory)


@pytest.mark.parametrize("literal", VALUES.values(), ids=VALUES.keys())
def test_a_hostile_value_in_any_field_of_an_upload(mallory: Person, literal: str) -> None:
    upload_id = send(mallory, "POST", "/uploads", in_place(UPLOAD, "")).json["id"]
    order = {"part_ids": ["part_1"], "md5": "0" * 32}
    for path, body in (("/uploads", UPLOAD), (f"/uploads/{upload_id}/complete", order)):
        for where, spoiled in spoilt(body):
            assert_harmless(send(mallory, "POST", path, in_place(spoiled, literal)), f"{path} {where}")


@pytest.mark.parametrize("literal", VALUES.values(), ids=VALUES.keys())
def test_a_hostile_value_in_a_question_to_a_model(mallory: Person, literal: str) -> None:
    for where, body in [("", HOSTILE), ("model", {**CHAT, "model": HOSTILE}), ("new", {"zz": HOSTILE})]:
        assert_harmless(send(mallory, "POST", "/chat/completions", in_place(body, literal)), where)


def a_job_in(encoding: str) -> bytes:
    return json.dumps({"model": "gpt-4o-mini", "training_file": "file-1"}).encode(encoding)


@pytest.mark.parametrize("literal", VALUES.values(), ids=VALUES.keys())
def test_a_hostile_value_in_the_name_of_a_project(mallory: Person, admin_key: str, literal: str) -> None:
    key = {"authorization": f"Bearer {admin_key}"}
    for where, body in spoilt({"name": "n"}):
        assert_harmless(send(mallory, "POST", "/organization/projects", in_place(body, literal), key), where)
    assert send(mallory, "GET", "/organization/projects", headers=key).status == 200


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
TAKE_A_BODY = ("/uploads", "/fine_tuning/jobs", "/webhook_endpoints", "/chat/completions", "/files")
TAKE_NONE = ("cancel", "pause", "resume")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_hostile_body(mallory: Person, job_id: str, body: bytes) -> None:
    for path in TAKE_A_BODY:
        answer = send(mallory, "POST", path, body)
        assert answer.status >= 400, path
        assert_harmless(answer, path)
    for verb in TAKE_NONE:
        assert_harmless(send(mallory, "POST", f"/fine_tuning/jobs/{job_id}/{verb}", body), verb)
    for path in ("/files/file-1", "/models/ft:x", "/webhook_endpoints/we_1"):
        assert send(mallory, "DELETE", path, body).status == 404
    assert_still_serving(mallory)


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
PATHS = (
    "/files/{}",
    "/files/{}/content",
    "/fine_tuning/jobs/{}",
    "/fine_tuning/jobs/{}/events",
    "/fine_tuning/jobs/{}/checkpoints",
    "/models/{}",
    "/webhook_endpoints/{}",
    "/webhook_endpoints/{}/deliveries",
    "/{}",
)
ASKING = {
    "GET": PATHS,
    "DELETE": PATHS,
    "POST": [*(f"/fine_tuning/jobs/{{}}/{verb}" for verb in TAKE_NONE), "/uploads/{}/parts", "/uploads/{}/cancel"],
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_hostile_id_in_the_path(mallory: Person, text: str) -> None:
    for method, paths in ASKING.items():
        for path in paths:
            answer = send(mallory, method, path.format(text))
            assert answer.status in {400, 404, 405}, f"{method} {path}: {answer.status}"
            assert answer.error
            assert "x-injected" not in answer.headers


QUERIES = {
    "/files": ("after", "limit", "order", "purpose", "unknown"),
    "/fine_tuning/jobs": ("after", "limit", "metadata", "metadata[k]", "metadata[]", "metadata[", "unknown"),
    "/fine_tuning/jobs/{job_id}/events": ("after", "limit"),
    "/fine_tuning/jobs/{job_id}/checkpoints": ("after", "limit"),
    "/models": ("after", "limit"),
    "/webhook_endpoints": ("after", "limit"),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_hostile_query(mallory: Person, job_id: str, text: str) -> None:
    for path, names in QUERIES.items():
        for query in [f"{name}={text}" for name in names] + [f"metadata[{text}]=v", text, f"{text}={text}"]:
            assert_harmless(send(mallory, "GET", f"{path.format(job_id=job_id)}?{query}"), f"{path}?{query[:80]}")


@pytest.mark.parametrize(
    "headers",
    [
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
    ],
    ids=lambda headers: " ".join(f"{name}={value[:12]!r}" for name, value in headers.items()),
)
def test_a_hostile_header(mallory: Person, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/fine_tuning/jobs"), ("POST", "/files"), ("GET", "/nowhere"), ("GET", "/files/")):
        answer = send(mallory, method, path, headers=headers)
        assert_harmless(answer, path)
        assert "evil.example" not in str(answer.headers)


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

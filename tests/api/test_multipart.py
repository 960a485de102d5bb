"""Reading a multipart form: whatever its chunks are, the same file and fields come out, or a clear error."""

import asyncio
from collections.abc import Iterable, Mapping

import pytest
from starlette.requests import Request
from starlette.types import Message

from api.http.multipart import MAX_BOUNDARY_BYTES, MAX_FIELD_BYTES, MAX_FIELDS, FormWithFile
from shared.datasets.storage.store import Writer
from shared.errors import Invalid, ServiceError, TooLarge

FORM = (
    b"--limit\r\nContent-Disposition: form-data; name=purpose\r\n\r\nfine-tune\r\n"
    b'--limit\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\ncontent-type: text/plain\r\n\r\n'
    b"line 1\r\n--limi\r\nline 2\r\n--limit--\r\n"
)
CONTENT = b"line 1\r\n--limi\r\nline 2"
MAX_BYTES = 1000


class MemoryWriter(Writer):
    def __init__(self) -> None:
        self.id, self.bytes, self.content = "file-memory", 0, b""

    def write(self, chunk: bytes | bytearray) -> None:
        self.content += chunk
        self.bytes += len(chunk)


def receive(
    chunks: Iterable[bytes], content_type: str = "multipart/form-data; boundary=limit", **headers: str
) -> tuple[FormWithFile, bytes]:
    """Read a form that arrives in these chunks; return it and the bytes of its file."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    given: Mapping[str, str] = {"content-type": content_type, **{k.replace("_", "-"): v for k, v in headers.items()}}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]

    async def next_message() -> Message:
        return messages.pop(0)

    writer = MemoryWriter()
    form = FormWithFile(writer, "file", MAX_BYTES)
    asyncio.run(form.receive(Request({"type": "http", "method": "POST", "headers": raw}, next_message)))
    return form, writer.content


def error_of(body: bytes, content_type: str = "multipart/form-data; boundary=limit", **headers: str) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        receive([body], content_type, **headers)[0].check(["purpose"])
    return refused.value


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    head = f'--limit\r\ncontent-disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + value + b"\r\n"


@pytest.mark.parametrize("position", range(1, len(FORM)))
def test_a_form_may_be_split_anywhere(position: int) -> None:
    form, content = receive([FORM[:position], FORM[position:]])
    assert (form.check(["purpose"]), form.fields, content) == ("a.jsonl", {"purpose": "fine-tune"}, CONTENT)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_form_may_arrive_in_small_chunks(size: int) -> None:
    form, content = receive(FORM[start : start + size] for start in range(0, len(FORM), size))
    assert (form.filename, form.fields, content) == ("a.jsonl", {"purpose": "fine-tune"}, CONTENT)


@pytest.mark.parametrize("end", [0, 1, 40, len(FORM) // 2, len(FORM) - 30, len(FORM) - 5])
def test_a_form_that_ends_early_is_refused(end: int) -> None:
    assert error_of(FORM[:end]).code == "invalid_multipart"


@pytest.mark.parametrize(
    ("content_type", "is_good"),
    [
        ("multipart/form-data; boundary=limit", True),
        ('multipart/form-data; boundary="limit"', True),
        ("multipart/form-data; charset=utf-8; boundary=limit", True),
        ("MULTIPART/FORM-DATA; boundary=limit", True),
        ("multipart/form-data", False),
        ("multipart/form-data; boundary=", False),
        ("multipart/form-data; boundary=" + "x" * (MAX_BOUNDARY_BYTES + 1), False),
        ("multipart/mixed; boundary=limit", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_the_content_type_must_be_a_form_with_a_boundary(content_type: str, is_good: bool) -> None:
    if is_good:
        assert receive([FORM], content_type)[1] == CONTENT
    else:
        error = error_of(FORM, content_type)
        assert (error.code, error.param) == ("invalid_multipart", "file")


END = b"--limit--\r\n"
FILE = part("file", b"x", "a")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (END, "missing_required_parameter", "file"),
        (part("purpose", b"a") + END, "missing_required_parameter", "file"),
        (part("file", b"x") + END, "invalid_value", "file"),
        (part("file", b"", "a") + END, "empty_file", "file"),
        (FILE + FILE + END, "invalid_value", "file"),
        (FILE + part("colour", b"red") + END, "unknown_parameter", "colour"),
        (FILE + part("c" * 200, b"red") + END, "unknown_parameter", "c" * 64),
        (part("other", b"x", "a") + FILE + END, "unknown_parameter", "other"),
        (FILE + part("purpose", b"x" * (MAX_FIELD_BYTES + 1)) + END, "invalid_value", "purpose"),
        (b"".join(part(f"f{n}", b"") for n in range(MAX_FIELDS + 1)) + FILE + END, "unknown_parameter", None),
        (part("file", b"x" * (MAX_BYTES + 1), "a") + END, "file_too_large", "file"),
        (b"no form at all", "invalid_multipart", None),
    ],
)
def test_a_wrong_form_is_refused_with_code_and_field(body: bytes, code: str, param: str | None) -> None:
    error = error_of(body)
    assert (error.code, error.param) == (code, param)


def test_the_largest_file_and_fields_are_accepted() -> None:
    others = b"".join(part(f"f{n}", b"x" * MAX_FIELD_BYTES) for n in range(MAX_FIELDS))
    form, content = receive([others + part("file", b"x" * MAX_BYTES, "a") + END])
    assert (len(form.fields), len(content)) == (MAX_FIELDS, MAX_BYTES)


def test_a_declared_length_that_is_too_large_is_refused_before_the_body() -> None:
    assert isinstance(error_of(b"", content_length=str(10 << 20)), TooLarge)
    assert isinstance(error_of(b"", content_length="none"), Invalid)

"""The rules of images: each row is the address or the data of an image, and what is found in it."""

import base64
from typing import Any
from zlib import crc32

import pytest

from shared.datasets.validation.lines.examine import examine_line
from tests.shared.dataset_lines import lines
from tests.shared.validation.paths import chat, found

URL = "$.messages[1].content[0].image_url.url"


def chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + name + data + crc32(name + data).to_bytes(4)


PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + chunk(b"IDAT", bytes(range(100))) + chunk(b"IEND", b"")
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(200)) + b"\xff\xd9"
WEBP = b"RIFF" + (4 + 40).to_bytes(4, "little") + b"WEBP" + bytes(40)
GIF = b"GIF89a" + bytes(40) + b";"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def image(url: Any) -> dict[str, Any]:
    return chat({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]})


def data(bytes_: bytes, type_: str = "png") -> str:
    return f"data:image/{type_};base64,{encoded(bytes_)}"


INVALID, CUT, UNREADABLE = (
    f"error invalid_image_url {URL}",
    f"error image_cut_off {URL}",
    f"error image_unreadable {URL}",
)
DIFFERS = f"warning image_type_differs {URL}"
TEXT = encoded(PNG)
PADDED = encoded(PNG + b"x" * (-(len(PNG) - 1) % 3))  # ends with ==

DATA: list[tuple[str, list[str]]] = [
    (data(PNG), []),
    (data(PNG + b"what a camera adds"), []),
    (data(JPEG, "jpeg"), []),
    (data(JPEG, "jpg"), []),
    (data(WEBP, "webp"), []),
    (data(PNG).replace("data:image/png", "DATA:IMAGE/PNG"), [INVALID]),
    (data(PNG[:-5]), [CUT]),
    (data(PNG[:40]), [CUT]),
    (data(JPEG[:-50], "jpeg"), [CUT]),
    (data(WEBP[:-1], "webp"), [CUT]),
    (data(JPEG), [DIFFERS]),
    (data(PNG, "jpeg"), [DIFFERS]),
    (data(PNG[:40], "webp"), [CUT, DIFFERS]),
    (data(GIF), [UNREADABLE]),
    (data(GIF, "gif"), [INVALID]),
    (data(b"<svg></svg>"), [UNREADABLE]),
    (data(b"%PDF-1.7"), [UNREADABLE]),
    (data(bytes(4) + b"ftypheic"), [UNREADABLE]),
    (data(b"hi"), [UNREADABLE]),
    (data(b""), [INVALID]),
    ("data:image/png;base64,a b", [INVALID]),
    (f"data:image/png;base64,{TEXT[:41]}", [CUT]),
    (f"data:image/png;base64,{TEXT[:42]}", [CUT]),
    ("data:image/png;base64," + "A" * 13_981_016, [f"error image_too_large {URL}"]),
]

REASONS = [
    (TEXT[:40] + "\n" + TEXT[40:], "a line break at character 63 of the URL"),
    (TEXT[:40] + "\r\n" + TEXT[40:], "a line break at character 63"),
    (TEXT[:40] + " " + TEXT[40:], "white space at character 63"),
    (TEXT[:8] + "-" + TEXT[9:], "'-' of the URL-safe alphabet at character 31"),
    (TEXT[:8] + "_" + TEXT[9:], "'_' of the URL-safe alphabet"),
    (TEXT[:8] + "%2B" + TEXT[9:], "a percent sign"),
    (TEXT[:8] + "!" + TEXT[9:], "the character '!'"),
    (TEXT[:8] + "=" + TEXT[8:], "goes on after its padding"),
    (PADDED.rstrip("="), "the padding of the base64 is missing"),
    ("====", "no data"),
]


@pytest.mark.parametrize(("url", "expected"), DATA)
def test_the_data_of_an_image_has_these_findings(url: str, expected: list[str]) -> None:
    assert found(image(url)) == sorted(expected)


@pytest.mark.parametrize(("text", "reason"), REASONS)
def test_a_base64_that_is_refused_is_refused_with_its_reason(text: str, reason: str) -> None:
    (finding,) = examine_line(lines(image(f"data:image/png;base64,{text}")), "chat", "openai").findings
    assert finding.code == "invalid_image_url"
    assert reason in finding.message


@pytest.mark.parametrize(("provider", "most"), [("openai", 10), ("azure", 64), ("another", 10)])
def test_providers_take_different_numbers_of_images(provider: str, most: int) -> None:
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert found(chat({"role": "user", "content": [part] * most}), provider=provider) == []
    too_many = found(chat({"role": "user", "content": [part] * (most + 1)}), provider=provider)
    assert too_many == ["error too_many_images $.messages"]

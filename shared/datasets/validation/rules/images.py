"""The rules of an image in a message: an address, or data that is whole and of a type that can be trained on."""

import binascii
import re
from collections.abc import Iterator
from typing import Any

from shared.datasets.validation.findings.finding import Finding
from shared.datasets.validation.rules.limits import Limits

DETAILS = ("low", "high", "auto")
TYPES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/jpg": "JPEG", "image/webp": "WEBP"}
ADDRESS = re.compile(r"https?://[^\s]+\Z")
_DATA = re.compile(r"data:([a-zA-Z0-9.+/-]*)((?:;[a-zA-Z0-9=._-]+)*?);base64,")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=]")
_PNG_END = b"IEND"
_OTHER_FILES = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\x00", "a TIFF"),
    (b"MM\x00*", "a TIFF"),
    (b"%PDF", "a PDF"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"<", "text with tags, such as SVG or a web page"),
)


def is_plain_image(image: Any) -> bool:
    """Whether an `image_url` has an address and nothing else, so that no rule finds anything in it."""
    if not isinstance(image, dict) or len(image) != 1:
        return False
    url = image.get("url")
    return isinstance(url, str) and ADDRESS.match(url) is not None


def examine_image(image: Any, path: str, limits: Limits) -> Iterator[Finding]:
    """The findings in the `image_url` of a part; `path` leads to the part."""
    url = image.get("url") if isinstance(image, dict) else None
    if not isinstance(url, str):
        yield Finding("invalid_part", f"{path}.image_url", "`image_url` must be an object with a `url`")
        return
    if image.get("detail", "auto") not in DETAILS:
        yield Finding("invalid_part", f"{path}.image_url.detail", f"`detail` must be one of {', '.join(DETAILS)}")
    yield from examine_url(url, f"{path}.image_url.url", limits.max_image_bytes)


def examine_url(url: str, path: str, max_bytes: int) -> Iterator[Finding]:
    """The findings in the address of an image, or in its data; `path` leads to it."""
    if url[:5].lower() == "data:":
        yield from _examine_data_url(url, path, max_bytes)
    elif not ADDRESS.match(url):
        yield Finding("invalid_image_url", path, f"{url[:40]!r} is neither a URL nor the data of an image")


def _examine_data_url(url: str, path: str, max_bytes: int) -> Iterator[Finding]:
    head = _DATA.match(url)
    if head is None or head[1].lower() not in TYPES:
        message = f"{url[:40]!r} is not the data of a JPEG, PNG or WEBP in base64"
        yield Finding("invalid_image_url", path, message)
        return
    size = (len(url) - head.end()) * 3 // 4
    if size > max_bytes:
        message = f"the image has {size / 1e6:,.1f} MB, but at most {max_bytes / 1e6:,.1f} MB are allowed"
        yield Finding("image_too_large", path, message)
        return
    text = url[head.end() :]
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        yield _broken_base64(text, head.end(), path)
        return
    yield from _examine_bytes(data, TYPES[head[1].lower()], head[1], path)


def _broken_base64(text: str, start: int, path: str) -> Finding:
    """Says why a base64 is refused; `start` is where it begins in the URL."""
    found = _NOT_BASE64.search(text)
    if found:
        what, hint = _named(found[0])
        message = f"the base64 has {what} at character {start + found.start() + 1:,} of the URL"
        return Finding("invalid_image_url", path, message, hint=hint)
    data = text.rstrip("=")
    if "=" in data:
        message = f"the base64 goes on after its padding, at character {start + data.index('=') + 1:,} of the URL"
        return Finding("invalid_image_url", path, message, hint="Encode the bytes at once, not piece by piece")
    if not data:
        return Finding("invalid_image_url", path, "the image has no data")
    whole = len(data) % 4 != 1 and _is_whole(binascii.a2b_base64(data + "=" * (-len(data) % 4)))
    if whole:
        padding = "=" * (-len(data) % 4)
        hint = f"End the base64 with {padding}" if padding else "End the base64 without ="
        return Finding("invalid_image_url", path, "the padding of the base64 is missing or wrong", hint=hint)
    message = f"the image is cut off: its base64 ends after {len(data):,} characters, within a group of four"
    return Finding("image_cut_off", path, message)


def _named(character: str) -> tuple[str, str]:
    if character in "\r\n":
        return (
            "a line break",
            "Remove the line breaks: encode without wrapping, as base64.b64encode or `base64 -w 0` do",
        )
    if character in "-_":
        return f"the character {character!r} of the URL-safe alphabet", "Use the standard alphabet: + for - and / for _"
    if character == "%":
        return "a percent sign", "Undo the URL encoding: %2B is +, %2F is /, %3D is ="
    if character.isspace():
        return "white space", "Remove the white space; a space often was a + that has been decoded as in a form"
    return f"the character {character!r}", "Encode the image again: base64 has only letters, digits, + and /"


def _examine_bytes(data: bytes, named: str, media: str, path: str) -> Iterator[Finding]:
    actual = _type_of(data)
    if not data:
        yield Finding("invalid_image_url", path, "the image has no data")
    elif actual is None:
        what = next((what for magic, what in _OTHER_FILES if data.startswith(magic)), "no image that is known")
        what = "an AVIF, a HEIC or a video" if data[4:8] == b"ftyp" else what
        yield Finding("image_unreadable", path, f"the data is {what}, not a {named}")
    elif not _is_whole(data):
        yield Finding("image_cut_off", path, f"the {actual} is cut off: its {len(data):,} bytes do not reach its end")
    if actual and actual != named:
        hint = f"Write data:image/{actual.lower()};base64,…"
        yield Finding("image_type_differs", path, f"the data is a {actual}, but the URL says {media}", hint=hint)


def _type_of(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    return "WEBP" if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else None


def _is_whole(data: bytes) -> bool:
    """Whether the data reaches its own end. Bytes behind the end, which some cameras write, do no harm."""
    type_ = _type_of(data)
    if type_ == "PNG":
        return _png_reaches_its_end(data)
    if type_ == "JPEG":
        # A preview within the image has an end of its own, so only the last bytes count.
        return b"\xff\xd9" in data[-4096:] and len(data) > 64
    return type_ == "WEBP" and len(data) >= 8 + int.from_bytes(data[4:8], "little")


def _png_reaches_its_end(data: bytes) -> bool:
    position = 8
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4])
        if data[position + 4 : position + 8] == _PNG_END:
            return True
        position += 12 + length
    return False

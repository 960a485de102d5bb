"""Names the shape of a file that is almost, but not, lines of JSON examples, so that it is reported once.

Only files whose first lines show no example at all are judged here; a single such line among examples is reported by
its own finding, with the sentence of `broken_line`.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from shared.datasets.validation.findings.problem import Problem, problem
from shared.datasets.validation.rules.row_shapes import CONVERT, is_turn, shape_of_row

ONE_LINE = "Write each object on one line, without indentation and line breaks"
MAX_LINES = 200
_LFS = "version https://git-lfs.github.com/spec/"
_TAGS = re.compile(r"\s*<(?:!doctype|html|\?xml|head|body|div|table)\b", re.IGNORECASE)
# By what a line that is no JSON begins with: what it is, and what to do.
_BEGINNINGS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"(?:<{7}|={7}|>{7}|\|{7})(?:\s|$)"), "a mark of a git merge conflict", "Resolve the conflict in git"),
    (re.compile(r"```"), "a fence of Markdown", "Remove the lines with ```"),
    (re.compile(r"//|/\*|#(?!\w+,)|--\s"), "a comment", "Remove the comments: JSON has none"),
    (re.compile(r"[\[{]\s*[“”„‘’«]"), "quoted by typographic quotes", 'Replace them by "; a word processor wrote them'),
    (re.compile(r"\{\s*\\+\""), "JSON with escaped quotes", "Decode it once: it was encoded as a text"),
    (re.compile(r"[\[{(]+\s*'|dict\(|OrderedDict\("), "Python's notation, with single quotes", CONVERT),
    (re.compile(r"\{\s*[A-Za-z_$][\w$]*\s*:"), "JavaScript, with keys without quotes", 'Write the keys in "quotes"'),
    (re.compile(r"(?:const|let|var|export|module\.exports)\b[^={]*=?"), "JavaScript", "Write only the JSON"),
    (
        re.compile(r"\(?\d+[.):]\s*[\[{]|[-*•]\s+[\[{]"),
        "an object in a numbered list",
        "Remove what is before the brace",
    ),
)
_PYTHON = re.compile(r"[:,\[]\s*(?:True|False|None)\s*[,}\]]")
_PREFIX = re.compile(r"[^{\[\"]{1,200}(?=\{\s*\")")
_YAML = re.compile(r"(?:---|\.\.\.)\s*$|\s*-\s+\w[\w ]*:|\s*\w[\w ]*:(?:\s|$)")
_DELIMITERS = {",": "CSV", "\t": "TSV", ";": "CSV with semicolons", "|": "a table with | between its columns"}


def broken_line(text: str) -> tuple[str, str] | None:
    """What a line that is no JSON is instead, and what to do about it; None if it looks like broken JSON."""
    text = text[:20_000].strip().removeprefix("\ufeff")
    for pattern, what, hint in _BEGINNINGS:
        if pattern.match(text):
            return what, hint
    if text[:1] == "{" and _PYTHON.search(text):
        return "Python's notation, with True, False or None", CONVERT
    prefix = _PREFIX.match(text)
    if prefix and _first_value(text[prefix.end() :]) is not None:
        return (
            f"an object behind {prefix[0].strip()[:30]!r}",
            "Remove what is before the brace, such as a time or a name",
        )
    if text[:1] == "{" and isinstance(_first_value(text), dict):
        rest = text[json.JSONDecoder().raw_decode(text)[1] :].lstrip(" ,;")
        if rest[:1] == "{":
            return "several objects on one line", f"Write each object on a line of its own. {CONVERT}"
    return None


def _first_value(text: str) -> Any:
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None


def shape_of_file(start: bytes) -> Problem | None:
    """The problem of a file of which no line of the sample `start` is an example; None if its shape is not known."""
    try:
        text = start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(start) - error.start > 4:  # the sample may cut a character in two
            return _not_utf8(start)
        text = start[: error.start].decode("utf-8-sig")
    if "\n" not in text.strip() and text.strip().count("\r") > 1:
        return _wrong("The file ends its lines with \\r alone, as old Macs did", "Save the file with \\n as line end")
    if text.startswith(_LFS):
        return _wrong("The file is a pointer of Git LFS, not the data", "Get the data: git lfs pull")
    if _TAGS.match(text):
        return _wrong("The file is a web page or XML", "Upload the data itself, not the page that shows it")
    lines = [line for line in text.split("\n")[:MAX_LINES] if line.strip()]
    values = [_decoded(line) for line in lines]
    return _of_rows(values) or _of_layout(text, lines, values) or _of_lines(lines, values) or _of_table(lines)


def _wrong(message: str, hint: str) -> Problem:
    return problem("wrong_shape", message, line=1, offset=0, hint=hint)


def _not_utf8(start: bytes) -> Problem | None:
    foreign = [line for line in start.split(b"\n")[:-1] if not line.isascii()]
    if len(foreign) < 2 or any(_is_utf8(line) for line in foreign):
        return None
    message = "The file is not UTF-8, perhaps Windows-1252 or another encoding of one byte a character"
    return problem("not_utf8", message, hint=f"Save the file as UTF-8. {CONVERT}")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decoded(line: str) -> Any:
    try:
        return msgspec.json.decode(line.strip().rstrip(","))
    except (ValueError, RecursionError):
        return msgspec.UNSET


def _of_rows(values: Sequence[Any]) -> Problem | None:
    """Lines that are JSON, of which most have the same other shape."""
    shapes = Counter(shape_of_row(value) for value in values if value is not msgspec.UNSET)
    shape, times = shapes.most_common(1)[0] if shapes else (None, 0)
    return _wrong(f"Each line is {shape[0]}", shape[1]) if shape and 2 * times > len(values) else None


def _of_layout(text: str, lines: Sequence[str], values: Sequence[Any]) -> Problem | None:
    """One value over many lines, or many objects so written."""
    stripped = text.strip()
    if stripped[:1] == "[" and not is_turn(_first_value(stripped[1:].lstrip())):
        is_list = stripped[1:].lstrip()[:1] == "{" or stripped.split("\n", 1)[0].strip() == "["
        if is_list and not stripped[1:].lstrip().startswith(("{'", "{ '")):
            message = "The file is one JSON array, not JSON lines"
            return problem("json_array", message, line=1, offset=0, hint=f"Write each element on a line. {CONVERT}")
    first = _first_value(stripped) if stripped[:1] == "{" else None
    if isinstance(first, dict) and any(_is_rows(value) for key, value in first.items() if key != "messages"):
        key = next(key for key, value in first.items() if key != "messages" and _is_rows(value))
        return _wrong(
            f"The file is one object with the examples under `{key[:40]}`", f"Write each on a line. {CONVERT}"
        )
    if lines and values[0] is msgspec.UNSET and re.match(r'\{\s*(?:\n\s*"|$)|\{\s*"[^"]*"\s*:\s*[\[{]?\s*\n', stripped):
        return _wrong("The objects are pretty-printed over several lines", f"{ONE_LINE}. {CONVERT}")
    return None


def _is_rows(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) > 1 and all(isinstance(row, dict) and not is_turn(row) for row in value)
    )


def _of_lines(lines: Sequence[str], values: Sequence[Any]) -> Problem | None:
    broken = [line for line, value in zip(lines, values, strict=True) if value is msgspec.UNSET]
    shapes = Counter(map(broken_line, broken))
    shape, times = shapes.most_common(1)[0] if shapes else (None, 0)
    return _wrong(f"Each line is {shape[0]}", shape[1]) if shape and 2 * times > len(lines) else None


def _of_table(lines: Sequence[str]) -> Problem | None:
    if len(lines) > 1 and not lines[0].lstrip().startswith(("{", "[")):
        for delimiter, name in _DELIMITERS.items():
            columns = lines[0].count(delimiter) + 1
            if columns > 1 and 2 * sum(line.count(delimiter) + 1 >= columns for line in lines) > len(lines):
                return _wrong(f"The file is {name}, with {columns} columns", CONVERT)
        if 2 * sum(bool(_YAML.match(line)) for line in lines) > len(lines):
            return _wrong("The file is YAML, or a conversation written as text", "Write one JSON object per example")
    return None

"""Recognises by their first bytes the files that hold no text, and says how to get text out of each."""

import re

_SAVE_AS_CSV = "Open it in the spreadsheet, save the sheet as «CSV UTF-8», and convert that file"
_PANDAS = "python -c \"import pandas; pandas.read_{0}('{1}').to_json('rows.jsonl', orient='records', lines=True)\""
_WITH_PANDAS = "Write its rows as JSON lines, for example with pandas: "

_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip archive", "Unpack it first: gunzip --keep {0}"),
    (b"BZh", "a bzip2 archive", "Unpack it first: bunzip2 --keep {0}"),
    (b"\xfd7zXZ\x00", "an xz archive", "Unpack it first: unxz --keep {0}"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "Unpack it first: unzstd {0}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it first: 7z x {0}"),
    (b"Rar!", "a RAR archive", "Unpack it first"),
    (b"PAR1", "a Parquet file", _WITH_PANDAS + _PANDAS.format("parquet", "{0}")),
    (b"ARROW1", "an Arrow file", _WITH_PANDAS + _PANDAS.format("feather", "{0}")),
    (b"FEA1", "a Feather file", _WITH_PANDAS + _PANDAS.format("feather", "{0}")),
    (b"ORC", "an ORC file", _WITH_PANDAS + _PANDAS.format("orc", "{0}")),
    (b"Obj\x01", "an Avro file", "Write its rows as JSON lines with a reader of Avro"),
    (b"\x89HDF", "an HDF5 file", _WITH_PANDAS + _PANDAS.format("hdf", "{0}")),
    (b"\x93NUMPY", "a NumPy array", "Write its rows as JSON lines or CSV"),
    (b"\x80\x04\x95", "a Python pickle", "Write its rows as JSON lines from the program that made it"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", _SAVE_AS_CSV),
    (b"%PDF", "a PDF", "Only text in rows can be converted"),
    (b"SQLite format 3\x00", "a SQLite database", 'Export a table as CSV: sqlite3 -header -csv {0} "select …"'),
    (b"{\\rtf", "a rich text document", "Save it as plain text"),
    (b"version https://git-lfs.github.com/spec/", "a pointer of Git LFS, not the data", "Get the data: git lfs pull"),
)
_IN_ZIP = (
    (b"xl/", "an Excel workbook (.xlsx)", _SAVE_AS_CSV),
    (b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "an OpenDocument spreadsheet (.ods)", _SAVE_AS_CSV),
    (b"word/", "a Word document", "Only text in rows can be converted"),
)
_HTML = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|\?xml)", re.IGNORECASE)


def refusal_of_binary(start: bytes, end: bytes, name: str) -> str | None:
    """Why a file cannot be read as text, and what to do; None for a file that may be text.

    `start` and `end` are its first and last bytes: a zip archive lists at its end what is in it.
    """
    for magic, what, advice in _KINDS:
        if start.startswith(magic):
            return f"the file is {what}. {advice.format(name)}"
    if start.startswith(b"PK\x03\x04"):
        inside = (found for found in _IN_ZIP if found[0] in start or found[0] in end)
        _, what, advice = next(inside, (b"", "a zip archive", "Unpack it first: unzip {0}"))
        return f"the file is {what}. {advice.format(name)}"
    if _HTML.match(start):
        return "the file is a web page or XML, not rows. Download the data itself, or export it as CSV or JSON"
    return None

"""Finds out in which encoding a file is written, so that spreadsheets' files are read as what was typed."""

import codecs
import re
from pathlib import Path
from typing import BinaryIO

from cli.datasets.conversion.binary_files import refusal_of_binary
from cli.datasets.conversion.rows import FileProblem, SourceNotes

BLOCK_BYTES = 1 << 20
SAMPLE_BYTES = 1 << 12
SAMPLE_CHARACTERS = 40
WINDOWS = "cp1252"

_MARKS = (  # the longest first: UTF-32's mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
# Western text has single accented letters and quotation marks; three bytes above 0x7f in a row are another alphabet.
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_OTHER_ALPHABET_BYTES = 3
_GUESSED_WORD = re.compile(r"[^\s\x00-\x1f]*[^\x00-\x7f][^\s\x00-\x1f]*")


def find_encoding(path: Path, wanted: str | None, notes: SourceNotes) -> str:
    """The codec to open a file with. Raises `FileProblem` if it is no text, or in no encoding that can be recognised.

    `wanted` is the caller's choice. A file without a mark that is not UTF-8 is read as Windows-1252 if it is a table:
    Excel writes such files. JSON is UTF-8 by its standard, so another encoding must be named.
    """
    with path.open("rb") as file:
        start = file.read(SAMPLE_BYTES)
        refusal = refusal_of_binary(start, _end(file), str(path))
        if refusal:
            raise FileProblem(0, refusal)
        marked = next(((codec, name) for mark, codec, name in _MARKS if start.startswith(mark)), None)
        codec, notes.encoding = marked or _unmarked(start)
        if wanted:
            codec, notes.encoding = wanted, wanted
        problem = _undecodable(file, codec)
        if problem is None:
            return codec
        if wanted or codec != "utf-8":
            raise FileProblem(problem.line, f"the file is not {notes.encoding}: {problem}")
        if start.lstrip()[:1] in (b"{", b"["):
            message = f"the file is not UTF-8: {problem}. Save it as UTF-8, or name its encoding: --encoding {WINDOWS}"
            raise FileProblem(problem.line, message)
        return _windows(file, problem, notes)


def _end(file: BinaryIO) -> bytes:
    file.seek(0, 2)
    file.seek(max(0, file.tell() - (1 << 16)))
    return file.read()


def _unmarked(start: bytes) -> tuple[str, str]:
    head = start[:64]
    if len(head) >= 8 and 0 in head:
        for codec, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
            if not any(zeros):
                return codec, "UTF-16"
    return "utf-8", "UTF-8"


def _undecodable(file: BinaryIO, codec: str) -> FileProblem | None:
    """Where a file cannot be decoded. The whole file is read once for this, or half of it would be converted first."""
    decoder = codecs.getincrementaldecoder(codec)()
    file.seek(0)
    line, offset = 1, 0
    while True:
        block = file.read(BLOCK_BYTES)
        try:
            line += decoder.decode(block, final=not block).count("\n")
        except UnicodeDecodeError as error:
            # The decoder may have kept some bytes of the block before; `object` includes them.
            begin = offset + len(block) - len(error.object)
            line += error.object[: error.start].count(b"\n")
            return FileProblem(line, f"{error.reason} at byte {begin + error.start:,}")
        if not block:
            return None
        offset += len(block)


def _windows(file: BinaryIO, problem: FileProblem, notes: SourceNotes) -> str:
    if _undecodable(file, WINDOWS) or _is_another_alphabet(file):
        message = (
            f"the file is not UTF-8 ({problem}), and does not look like Windows-1252 either. Save it as UTF-8, "
            f"or name its encoding, for example --encoding gb18030, shift_jis, cp1251 or mac_roman"
        )
        raise FileProblem(problem.line, message)
    notes.encoding = "Windows-1252"
    file.seek(0)
    while block := file.read(BLOCK_BYTES):
        word = _GUESSED_WORD.search(block.decode(WINDOWS))
        if word:
            notes.guessed_from = word[0][:SAMPLE_CHARACTERS]
            break
    return WINDOWS


def _is_another_alphabet(file: BinaryIO) -> bool:
    file.seek(0)
    long = short = 0
    while block := file.read(BLOCK_BYTES):
        for run in _HIGH_RUN.findall(block):
            if len(run) >= _OTHER_ALPHABET_BYTES:
                long += len(run)
            else:
                short += len(run)
    return long > short

"""Counts what is wrong with the texts of lines, where it need not be said in which: secrets and NUL."""

import re
import string

from shared.datasets.validation.lines.secrets import MIN_KEY, SECRET, is_secret, may_have_secret
from shared.datasets.validation.rules.limits import rules

# A line with more findings than `line_findings` has an error; the sequence of its roles has four at most. A line that
# is shorter in bytes cannot have so many.
MAX_COUNTED = rules().ours.line_findings - 4
_TEXT_WITH_NUL = re.compile(rb'\\u0000[^"]*+"')
# Letters of escapes would be taken for letters of a word.
_ESCAPES = re.compile(rb"\\(?:[bfnrt]|u00[01][0-9a-f])")
_PRIVATE_KEY = b"PRIVATE KEY"  # the only one with spaces
_IN_WORDS = {*string.ascii_letters.encode(), *string.digits.encode(), *b"-_", *range(128, 256)}
_SPACE_BETWEEN = bytes(byte if byte in _IN_WORDS else ord(" ") for byte in range(256))
_ESCAPED_LETTER = re.compile(rb"\\u(?!00[01][0-9a-f])")


def escapes_letters(encoded: bytes) -> bool:
    """Whether JSON may have escapes of letters, which msgspec does not write, but copies from what is not decoded."""
    return b"\\u" in encoded and _ESCAPED_LETTER.search(encoded) is not None


def codes_of_texts(encoded: bytes) -> list[str]:
    """The code of each finding in the texts, keys included, of JSON as msgspec writes it: it escapes no letter."""
    has_nul, has_secret = b"\\u0000" in encoded, may_have_secret(encoded)
    if not (has_nul or has_secret):
        return []
    written = encoded.replace(b"\\\\", b"//").replace(b'\\"', b"''")
    codes = ["nul_character"] * len(_TEXT_WITH_NUL.findall(written)) if has_nul else []
    if has_secret:
        texts = b'"'.join([text for text in written.split(b'"') if may_have_secret(text)])
        words = _words_of_keys(_ESCAPES.sub(b"\n", texts))
        found = SECRET.findall(words.decode())
        codes += ["secret" for _ in filter(is_secret, found)]
    return codes


def _words_of_keys(text: bytes) -> bytes:
    """The words that are long enough for a key: the expression of keys takes long for each that only begins as one."""
    if _PRIVATE_KEY in text:
        return text
    return b" ".join([word for word in text.translate(_SPACE_BETWEEN).split() if len(word) >= MIN_KEY])

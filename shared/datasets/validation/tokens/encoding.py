"""The encodings: tiktoken's patterns, and its rank files, which are shipped here, so that it needs no network."""

import lzma
from binascii import a2b_base64
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # an api that counts no tokens does without
    from tiktoken import Encoding

_O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+"
)
_CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
_QUICK_CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+$|\s*[\r\n]"


class Definition(NamedTuple):
    """tiktoken's pattern, one for ASCII without adjacent spaces, and the SHA-256 of the rank file."""

    pattern: str
    quick_pattern: str
    sha256: str


ENCODINGS = {
    "o200k_base": Definition(
        _O200K + r"|\s+(?!\S)|\s+",
        _O200K + r"|\s+",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "cl100k_base": Definition(
        _CL100K + r"|\s+(?!\S)|\s",
        _QUICK_CL100K + r"|\s",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
}


@cache
def encoding(name: str) -> "Encoding":
    """tiktoken's encoding. Loading takes 0.3 s and 70 MB, once per process."""
    return _with_pattern(name, ENCODINGS[name].pattern)


@cache
def quick_encoding(name: str) -> "Encoding":
    """One that is as exact for ASCII without adjacent spaces only."""
    return _with_pattern(name, ENCODINGS[name].quick_pattern)


def _with_pattern(name: str, pattern: str) -> "Encoding":
    from tiktoken import Encoding

    return Encoding(name, pat_str=pattern, mergeable_ranks=_ranks(name), special_tokens={})


@cache
def _ranks(name: str) -> dict[bytes, int]:
    words = rank_file(name).split()
    return dict(zip(map(a2b_base64, words[::2]), map(int, words[1::2]), strict=True))


def rank_file(name: str) -> bytes:
    """The lines of tiktoken's file of an encoding: a token in Base64, and its rank."""
    packed = Path(__file__).with_name("ranks") / f"{name}.tiktoken.xz"
    ranks = lzma.decompress(packed.read_bytes())
    expected = ENCODINGS[name].sha256
    if sha256(ranks).hexdigest() != expected:
        raise RuntimeError(f"{packed} is damaged: its SHA-256 is not {expected}")
    return ranks

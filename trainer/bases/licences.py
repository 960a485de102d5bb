"""The licence that a folder of weights names: in the head of its README, or by the first words of its licence file."""

import re
from pathlib import Path

FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING")
HEAD_BYTES = 65536
FIRST_WORDS = (
    ("Apache License", "apache-2.0"),
    ("MIT License", "mit"),
    ("LLAMA", "llama"),
    ("Gemma", "gemma"),
)


def licence_of(folder: Path) -> str | None:
    """A short name as model cards write it, such as `apache-2.0`; None if the folder says nothing."""
    card = _head(folder / "README.md")
    if card.startswith("---") and (found := re.search(r"^license:\s*[\"']?([\w.-]+)", card, re.MULTILINE)):
        return found[1]
    for name in FILES:
        beginning = _head(folder / name)[:400]
        for words, licence in FIRST_WORDS:
            if words.lower() in beginning.lower():
                return licence
    return None


def _head(file: Path) -> str:
    if not file.is_file():
        return ""
    with file.open("rb") as opened:
        return opened.read(HEAD_BYTES).decode(errors="replace")

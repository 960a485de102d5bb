"""Runs a conversion as the command line asks for it: options checked, result printed."""

import codecs
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from cli.datasets.conversion.names import IN_EXAMPLES, ROLES, plain
from cli.datasets.conversion.rows import Options
from cli.datasets.conversion_report import print_conversion
from cli.datasets.convert import convert_file

CHAT_ROLES = ("system", "developer", "user", "assistant", "tool")


def run(
    source: Path, target: Path | None, given: dict[str, Any], *, skip_invalid: bool, strict: bool, as_json: bool
) -> bool:
    """Whether the target was written. Raises `typer.BadParameter` for options that make no sense."""
    if strict and skip_invalid:
        raise typer.BadParameter("--strict and --skip-invalid exclude each other: leave one out")
    options = Options(
        system=given["system"],
        drop=frozenset(plain(name) for name in given["drop"] or ()),
        rename=_pairs(given["rename"] or (), "--rename", IN_EXAMPLES),
        roles=_pairs(given["role"] or (), "--role", (*CHAT_ROLES, *ROLES)),
        encoding=_codec(given["encoding"]),
        rows=plain(given["rows"]) if given["rows"] else None,
    )
    try:
        outcome = convert_file(source, target, options, skip_invalid=skip_invalid, strict=strict)
    except OSError as error:
        raise typer.BadParameter(f"cannot write {target or 'the examples'}: {error.strerror or error}") from None
    for name in sorted(options.drop) if outcome.rows_in else ():
        outcome.dropped_fields.setdefault(name, 0)
    print_conversion(outcome, source, target, as_json=as_json)
    return outcome.refusal is None


def _pairs(given: Iterable[str], option: str, known: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for each in given:
        old, equals, new = each.rpartition("=")
        if not equals or not old:
            raise typer.BadParameter(f"{option} {each}: write it as OLD=NEW")
        if plain(new) not in known:
            raise typer.BadParameter(f"{option} {each}: {new!r} is not known. Known: {', '.join(sorted(set(known)))}")
        pairs[plain(old)] = plain(new) if option == "--rename" else ROLES.get(plain(new), plain(new))
    return pairs


def _codec(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        codec = codecs.lookup(name)
    except LookupError:
        raise typer.BadParameter(f"--encoding {name} is not known. Examples: utf-8, cp1252, utf-16, gb18030") from None
    if codec.name in ("hex", "base64", "bz2", "zlib", "rot13", "quopri", "uu", "idna", "punycode", "undefined"):
        raise typer.BadParameter(f"--encoding {name} is no encoding of text. Examples: utf-8, cp1252, utf-16, gb18030")
    return codec.name

"""The format of API keys: scanners can find it, and the checksum reveals typos."""

import re

import pytest

from shared.projects.secret_format import ADMIN_PREFIX, PROJECT_PREFIX, hint_of, is_well_formed, new_secret

FOR_SCANNERS = r"sk-(admin-)?tun-[0-9A-Za-z]{49}"  # as docs/administration.md has it


@pytest.mark.parametrize("prefix", [PROJECT_PREFIX, ADMIN_PREFIX])
def test_a_new_secret_matches_the_scanners_pattern_and_its_checksum(prefix: str) -> None:
    secret = new_secret(prefix)
    assert re.fullmatch(FOR_SCANNERS, secret)
    assert is_well_formed(secret)
    assert hint_of(secret) == f"{prefix}{secret[len(prefix) :][:3]}…{secret[-4:]}"


def test_secrets_are_unique() -> None:
    assert len({new_secret(PROJECT_PREFIX) for _ in range(100)}) == 100


def test_one_wrong_character_anywhere_is_detected() -> None:
    secret = new_secret(PROJECT_PREFIX)
    wrong = [secret[:at] + ("x" if secret[at] != "x" else "y") + secret[at + 1 :] for at in range(len(secret))]
    assert [text for text in wrong if is_well_formed(text)] == []


@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s + "a", lambda s: s[1:], lambda s: f" {s}", str.upper])
def test_a_truncated_or_extended_secret_is_not_well_formed(change: "type[str]") -> None:
    assert not is_well_formed(change(new_secret(PROJECT_PREFIX)))


def test_two_swapped_characters_are_detected() -> None:
    secret = new_secret(PROJECT_PREFIX)
    swapped = [secret[:at] + secret[at + 1] + secret[at] + secret[at + 2 :] for at in range(len(secret) - 1)]
    assert [text for text in swapped if text != secret and is_well_formed(text)] == []


def test_an_early_key_without_a_checksum_is_well_formed() -> None:
    assert is_well_formed("sk-tun-" + "a1_-B" * 8 + "xyz")
    assert is_well_formed("sk-admin-tun-" + "a1_-B" * 8 + "xyz")

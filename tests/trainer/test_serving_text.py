"""The text of an answer while its tokens come, each a few bytes of it."""

import random
from collections.abc import Iterator

import pytest

from trainer.serving.text import Text

ANSWER = "Là-bas, 漢字 and 👩‍👩‍👧 smile. " * 3


def _decode(tokens: list[int]) -> str:
    """A token is a byte."""
    return bytes(tokens).decode(errors="replace")


def _pieces(text: Text, tokens: bytes) -> Iterator[tuple[str, list[int]]]:
    for place, token in enumerate(tokens):
        yield text.add(token, place)
        if text.stopped:
            return
    yield text.finish()


def test_no_piece_splits_a_character_and_none_waits_longer_than_it_must() -> None:
    told = ""
    text = Text(_decode)
    for place, token in enumerate(ANSWER.encode()):
        piece, _ = text.add(token)
        told += piece
        whole = ANSWER.encode()[: place + 1].decode(errors="ignore")
        assert told == whole
    assert told == ANSWER


@pytest.mark.parametrize("seed", range(50))
def test_stop_strings_are_found_across_tokens_and_never_given_out(seed: int) -> None:
    choice = random.Random(seed)
    places = [choice.randrange(len(ANSWER)) for _ in range(3)]
    stops = [ANSWER[place : place + choice.randrange(1, 9)] for place in places]
    _, end = min((ANSWER.index(stop) + len(stop), ANSWER.index(stop)) for stop in stops)  # the first that is whole
    text = Text(_decode, stops)
    told = "".join(piece for piece, _ in _pieces(text, ANSWER.encode()))
    assert (told, text.stopped) == (ANSWER[:end], True)


def test_the_beginning_of_a_stop_string_comes_out_when_it_goes_on_otherwise() -> None:
    pieces = [piece for piece, _ in _pieces(Text(_decode, ["END."]), b"a ENx ENDE")]
    assert pieces == ["a", " ", "", "", "ENx", " ", "", "", "", "END", "E"]


def test_entries_come_with_the_text_of_their_token() -> None:
    text = Text(_decode, ["END."])
    told = list(_pieces(text, b"ab ENx END."))
    assert [entries for piece, entries in told if piece or entries] == [[0], [1], [2], [3, 4, 5], [6]]
    assert "".join(piece for piece, _ in told) == "ab ENx "


def test_bytes_that_are_no_character_come_out_in_the_end() -> None:
    told = "".join(piece for piece, _ in _pieces(Text(_decode), b"a\xff\xfe" + b"\x80" * 20 + b"b\xe6"))
    assert told == "a" + "\ufffd" * 22 + "b\ufffd"

"""A file is read in blocks of whole lines: each line once, wherever ranges and blocks are cut."""

from io import BytesIO
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.validation.lines.plain import PLAIN_FORMATS
from shared.datasets.validation.lines.shared_prefix import MIN_SHARED_CHARACTERS, shared_prefix_of
from shared.datasets.validation.reading.blocks import Block, blocks, size_of
from shared.datasets.validation.reading.digest import path_of
from tests.shared.dataset_lines import chat, lines


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"a", [Block(0, b"a")]),
        (b"a\nb\n", [Block(0, b"a\nb\n")]),
        (b"aaaa\nb", [Block(0, b"aaaa\n"), Block(5, b"b")]),
        (b"aaa\nbbb\nc\n", [Block(0, b"aaa\nbbb\n"), Block(8, b"c\n")]),
        (b"a" * 10, [Block(0, b"a" * 10)]),
        (b"a" * 11, [Block(0, b"a" * 11)]),
        (b"a" * 12, [Block(0, b"a" * 11, 1)]),
        (b"a" * 99 + b"\nb\n", [Block(0, b"a" * 11, 89), Block(100, b"b\n")]),
    ],
)
def test_a_block_ends_with_a_line_and_keeps_of_a_long_one_a_byte_more_than_the_limit(
    content: bytes, expected: list[Block]
) -> None:
    assert list(blocks(BytesIO(content), 0, len(content), limit=10, size=5)) == expected


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.binary(max_size=12), max_size=20), st.integers(1, 30), st.integers(1, 9))
def test_adjoining_ranges_share_no_line_and_lose_none(parts: list[bytes], step: int, size: int) -> None:
    content = b"\n".join(parts)
    edges = [*range(0, len(content), step), len(content)]
    found = [block.data for a, b in pairwise(edges) for block in blocks(BytesIO(content), a, b, 1_000, size)]
    assert b"".join(found) == content


def test_a_file_without_a_path_has_none_and_a_size() -> None:
    assert (path_of(BytesIO(b"abc")), size_of(BytesIO(b"abc"))) == (None, 3)


LONG = "Be brief. " * MIN_SHARED_CHARACTERS


@pytest.mark.parametrize(
    ("system", "has_prefix"), [(LONG, True), ("x" * MIN_SHARED_CHARACTERS, True), ("x" * 255, False)]
)
def test_a_long_first_message_is_a_shared_prefix(system: str, has_prefix: bool) -> None:
    example = chat(1)
    example["messages"][0]["content"] = system
    line = lines(example)
    prefix = shared_prefix_of(line, PLAIN_FORMATS["chat"].decode(line).messages)
    assert (prefix is not None) == has_prefix
    if prefix:
        (rest,) = prefix.remove_from([line]) or []
        assert len(rest) < len(line) - len(system)
        assert prefix.message.content == system
        assert prefix.remove_from([line, lines(chat(2))]) is None
        assert prefix.remove_from([lines(chat(2)), line]) is None


def test_a_single_message_is_no_prefix() -> None:
    line = lines({"messages": [{"role": "user", "content": LONG}]})
    assert shared_prefix_of(line, PLAIN_FORMATS["chat"].decode(line).messages) is None

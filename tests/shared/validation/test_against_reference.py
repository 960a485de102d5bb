"""The engine, with its fast way and its blocks, finds in mangled lines what a slow and obvious checker finds."""

import json
import re
from io import BytesIO
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.validation.reading.blocks import BLOCK_BYTES
from shared.datasets.validation.scanning.scanner import RangeScanner, ScanOptions
from tests.shared.validation.reference import ROLES, codes_of

words = st.sampled_from(
    ["", "hello", "Grüße, Welt", '{"a": "b"}', 'say "content": "x"', "a\nb", "𝕏 \\ /", "\0", "\\u0000", "\ud800"]
)
anything = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 2), st.just(1.0), words, st.lists(words, max_size=2), st.just({})
)
parts = st.lists(st.one_of(st.fixed_dictionaries({"type": st.just("text"), "text": words}), anything), max_size=2)
plain = st.fixed_dictionaries({"role": st.sampled_from(ROLES[:4]), "content": words.filter(bool)})
odd = st.fixed_dictionaries(
    {},
    optional={
        "role": st.one_of(
            st.sampled_from((*ROLES, "bot")), anything.filter(lambda role: not isinstance(role, list | dict))
        ),
        "content": st.one_of(words, parts, anything),
        "name": st.one_of(st.sampled_from(["bob", "b b", "x" * 65]), anything),
        "weight": anything,
        "refusal": st.one_of(st.none(), words),
        "extra": anything,
    },
)
messages = st.lists(st.one_of(plain, plain, odd, anything), max_size=4)
examples = st.one_of(
    st.fixed_dictionaries({"messages": st.lists(plain, min_size=1, max_size=4)}),
    st.fixed_dictionaries({"messages": st.one_of(messages, anything)}, optional={"tools": st.none(), "id": anything}),
    st.dictionaries(st.sampled_from(["messages", "prompt", "input", "other"]), anything, max_size=2),
    anything,
)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """An example as a line, in one of several styles, and sometimes with bytes put in, taken out or repeated."""
    ascii_, compact = draw(st.booleans()), draw(st.booleans())
    text = json.dumps(draw(examples), ensure_ascii=ascii_, separators=(",", ":") if compact else None)
    line = text.encode(errors="replace" if not ascii_ else "strict")
    mangling = draw(st.sampled_from(["nothing", "bytes", "repeated key"]))
    if mangling == "repeated key":
        at = draw(
            st.sampled_from([match.start() for match in re.finditer(rb'"(?:role|content|messages)"', line)] or [0])
        )
        again = draw(
            st.sampled_from([b'"content":"z",', b'"role":"user",', b'"messages":[],', rb'"c\u006fntent": "z",'])
        )
        line = line[:at] + again + line[at:]
    elif mangling == "bytes":
        at = draw(st.integers(0, len(line)))
        to = draw(st.integers(at, min(len(line), at + 24)))
        bits = draw(st.sampled_from([b"", b"\xff", b"\x00", b",", b"}", b" ", b"\r", b"NaN", b"\\", line[at:to]]))
        line = line[:at] + bits + line[draw(st.sampled_from([at, to])) :]
    return line.replace(b"\n", b"")


def found_by_the_engine(content: bytes) -> list[set[str]]:
    part = RangeScanner(ScanOptions(format="chat")).scan(BytesIO(content), 0, len(content))
    found: list[set[str]] = [set() for _ in range(part.lines)]
    for problem in (*part.errors, *part.warnings):
        found[(problem.line or 0) - 1].add(problem.code)
    return found


@settings(max_examples=600, deadline=None, database=None)
@given(st.lists(lines(), min_size=1, max_size=4))
def test_the_engine_agrees_with_the_reference_on_mangled_lines(mangled: list[bytes]) -> None:
    assert found_by_the_engine(b"\n".join(mangled) + b"\n") == [codes_of(line) for line in mangled]


FIRST = b'{"role": "system", "content": "' + b"Be brief. " * 60 + b'"}'
SAME = b'{"messages": [%s, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n' % FIRST


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(lines(), min_size=1, max_size=2))
def test_a_first_message_that_all_lines_share_changes_nothing_of_it(mangled: list[bytes]) -> None:
    mangled = [line.replace(b"[", b"[" + FIRST + b", ", 1) for line in mangled]
    many = 2 * BLOCK_BYTES // len(SAME)
    found = found_by_the_engine(SAME * many + b"\n".join(mangled) + b"\n")
    assert found == [set()] * many + [codes_of(line) for line in mangled]


@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), min_size=1, max_size=4))
def test_the_engine_agrees_with_the_reference_on_noise(noise: list[bytes]) -> None:
    noise[0] = noise[0].removeprefix(b"\xef\xbb\xbf")
    assert found_by_the_engine(b"\n".join(noise) + b"\n") == [codes_of(line) for line in noise]


@settings(max_examples=150, deadline=None, database=None)
@given(st.lists(lines(), max_size=30), st.integers(1, 200), st.integers(0, 500))
def test_a_file_may_be_cut_into_ranges_anywhere(mangled: list[bytes], length: int, start: int) -> None:
    content = b"\n".join(mangled)
    whole = RangeScanner(ScanOptions(format="chat")).scan(BytesIO(content), 0, len(content))
    scan, edges = RangeScanner(ScanOptions(format="chat")), [0, *range(start + 1, len(content), length), len(content)]
    pieces: list[Any] = [scan.scan(BytesIO(content), a, b) for a, b in pairwise(edges)]
    assert sum(piece.lines for piece in pieces) == whole.lines
    for merged in pieces[1:]:
        pieces[0].merge(merged, 1_000_000)
    assert (pieces[0].counts, pieces[0].statistics, bytes(pieces[0].tails)) == (
        whole.counts,
        whole.statistics,
        bytes(whole.tails),
    )

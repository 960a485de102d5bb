"""A text has the tokens that tiktoken says, whether fastokens finds them or tiktoken with the quick pattern."""

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.datasets.validation.tokens.by_fastokens import NO_SPACE, fastokens_counter, load_tokenizer
from shared.datasets.validation.tokens.by_tiktoken import tiktoken_counter
from shared.datasets.validation.tokens.encoding import ENCODINGS, encoding

HOSTILE_TEXTS = 100_000
WORDS = [
    "the",
    "It's",
    "don't",
    "'S",
    "ſ",
    "Straße",
    "中文",
    "7",
    "1234567",
    "!!",
    "...",
    "/",
    "<|endoftext|>",
    "x" * 70,
]
ODD = ["👩\u200d👩\u200d👧", "\u0301", " ", "  ", "\t", "\n", "\r\n", "\x1c", "\x85", "\u00a0", "\u2028", "\u3000"]
MORE = ["\0", "\ufeff", "\uffff", "\U0010ffff", "'\u017f", "'LL", "ǅ", "ʰ", "ª", "Ⅷ", "½", "٣", "\u180e", "\u200b", "۝"]
PLANES = [
    (0, 0x80),
    (0x80, 0x800),
    (0x3040, 0x3100),
    (0x4E00, 0xA000),
    (0xE000, 0x10000),
    (0x1F300, 0x1FB00),
    (0x10000, 0x110000),
]
pieces = st.sampled_from([*WORDS, *ODD])
texts = st.one_of(
    st.lists(pieces, max_size=12).map("".join), st.lists(pieces, max_size=12).map(" ".join), st.text(max_size=60)
)


def hostile_texts(count: int = HOSTILE_TEXTS) -> Iterator[str]:
    """Texts of words, odd characters, code points of each plane, and runs of one of these, in any order."""
    chance = random.Random(7)

    def piece() -> str:
        match chance.randrange(5):
            case 0:
                return chance.choice(WORDS)
            case 1:
                return chance.choice(ODD)
            case 2:
                return chance.choice(MORE)
            case 3:
                return chr(chance.randrange(*chance.choice(PLANES)))
            case _:
                return chance.choice([*WORDS, *ODD, *MORE]) * chance.randrange(1, 40)

    for _ in range(count):
        yield "".join([piece() for _ in range(chance.randrange(1, 12))])


def texts_of_all_characters(at_once: int = 64) -> Iterator[str]:
    """Each code point alone, three times, between spaces, letters, digits and lines."""
    for first in range(0, 0x110000, at_once):
        if not 0xD800 <= first < 0xE000:
            yield "".join(
                [
                    f"a {c}  {c}b1{c}'{c}s!{c}\n {c}  {c * 3}A{c}a  \n{c}"
                    for c in map(chr, range(first, first + at_once))
                ]
            )


@pytest.mark.parametrize("make", [hostile_texts, texts_of_all_characters])
@pytest.mark.parametrize("name", ENCODINGS)
def test_fastokens_finds_the_tokens_that_tiktoken_finds(name: str, make: Callable[[], Iterator[str]]) -> None:
    tokenizer, judge, count = load_tokenizer(name), encoding(name), fastokens_counter(name)
    if tokenizer is None or count is None:
        pytest.skip("fastokens has no wheel for this platform")
    for text in make():
        expected = judge.encode_ordinary(text)
        assert count(text) == len(expected), ascii(text)
        assert NO_SPACE in text or tokenizer.encode_ordinary(text).ids == expected, ascii(text)


@pytest.mark.parametrize("name", ENCODINGS)
@settings(max_examples=700, deadline=None, database=None)
@given(text=texts)
@example(text="half a pair \ud800 and \udc00")
def test_a_text_has_as_many_tokens_as_tiktoken_says(name: str, text: str) -> None:
    expected = len(encoding(name).encode_ordinary(text))
    assert tiktoken_counter(name)(text) == expected
    by_fastokens = fastokens_counter(name)
    assert by_fastokens is None or by_fastokens(text) == expected

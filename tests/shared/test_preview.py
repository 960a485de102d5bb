"""A preview shows examples as a model reads them: tokens, what is trained on, and where an example is cut off."""

from io import BytesIO

import pytest

from shared.datasets.preview import MAX_SHOWN_TOKENS, preview
from tests.shared.dataset_lines import GOOD, chat, lines


def test_the_pieces_of_a_message_are_its_text() -> None:
    (shown,) = preview(BytesIO(GOOD), "chat", "gpt-4.1", "openai", 1)
    assert ["".join(message.pieces) for message in shown.messages] == ["Be brief.", "What is 0 and one?", "It is 1."]
    assert [message.trained for message in shown.messages] == [False, False, True]
    assert (shown.line, shown.limit, shown.truncated, shown.error) == (1, 65_536, False, None)


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        (GOOD, [1, 2, 3]),
        (b"\n\n" + GOOD, [3, 4, 5]),
        (b"\xef\xbb\xbf" + GOOD, [1, 2, 3]),
        (lines(chat(1)).strip(), [1]),
        (b"", []),
    ],
)
def test_the_first_examples_are_shown_with_their_lines(content: bytes, numbers: list[int]) -> None:
    shown = preview(BytesIO(content), "chat", "gpt-4.1", "openai", 3)
    assert [(each.line, each.error) for each in shown] == [(number, None) for number in numbers]


@pytest.mark.parametrize(
    ("line", "error"),
    [(b"{]\n", "not JSON"), (b"{}\n", "no `messages`"), (b'{"messages":[1]}\n', "a message must be an object")],
)
def test_a_line_that_cannot_be_read_says_why(line: bytes, error: str) -> None:
    (shown,) = preview(BytesIO(line), "chat", "gpt-4.1", "openai", 1)
    assert error in str(shown.error)
    assert (shown.tokens, shown.messages) == (None, [])


def test_an_example_beyond_the_models_limit_is_truncated_and_shown_in_part() -> None:
    long = lines({"messages": [{"role": "user", "content": "word " * 5_000}, *chat(1)["messages"][2:]]})
    (shown,) = preview(BytesIO(long), "chat", "gpt-3.5-turbo-0613", "openai", 1)
    assert (shown.truncated, shown.limit) == (True, 4096)
    assert sum(len(message.pieces) for message in shown.messages) == MAX_SHOWN_TOKENS


def test_a_model_that_is_not_known_has_no_limit() -> None:
    (shown,) = preview(BytesIO(GOOD), "chat", "llama-3", "openai", 1)
    assert (shown.limit, shown.truncated) == (None, False)

"""Makes the example of a row: finds out which shape the row has, and leaves the work to that shape's module."""

from typing import Any

from cli.datasets.conversion.fields import Fields
from cli.datasets.conversion.names import ANSWER, CONVERSATION, QUESTION, VERDICTS, is_message
from cli.datasets.conversion.pairs import Example, example_of_pair, question_names, tools
from cli.datasets.conversion.preferences import example_of_preference, is_preference
from cli.datasets.conversion.rows import Options, RowProblem, kind
from cli.datasets.conversion.turns import messages_of, with_system


def example_of(row: Any, options: Options) -> tuple[Example, Fields]:
    """The example of a row, and the row's fields with what was lost of them. Raises `RowProblem`."""
    if isinstance(row, list) and row and not all(isinstance(turn, str | int | float | None) for turn in row):
        row = {"messages": row}
    elif not isinstance(row, dict):
        raise RowProblem(f"expected a JSON object, but this is {kind(row)}")
    elif is_message(row):
        raise RowProblem("the row is one message, not an example. Write the messages of a conversation as one list")
    fields = Fields(row, options)
    _refuse_verdicts(fields)
    if is_preference(fields):
        return example_of_preference(fields), fields
    if fields.present(CONVERSATION):
        return _example_of_conversation(fields), fields
    return example_of_pair(fields), fields


def texts_of(value: Any) -> set[str]:
    """All texts of an example's messages, without white space around them."""
    if isinstance(value, dict):
        own = {value["content"].strip()} if isinstance(value.get("content"), str) else set[str]()
        return own.union(*(texts_of(inner) for inner in value.values() if isinstance(inner, dict | list)))
    return set[str]().union(*map(texts_of, value)) if isinstance(value, list) else set()


def _refuse_verdicts(fields: Fields) -> None:
    """Refuse a row that says whether its answer is good: an example could only teach it, good or bad."""
    for name in fields.present(VERDICTS):
        value = fields.look(name)
        if isinstance(value, bool) or str(value).strip().lower() in ("true", "false"):
            shown = fields.names[name]
            raise RowProblem(
                f"`{shown}` says whether the answer is good (KTO), and a chat example teaches every answer. "
                f"Remove the rows with bad answers, then convert with --drop {shown}"
            )


def _example_of_conversation(fields: Fields) -> Example:
    name = fields.take_only(CONVERSATION, "the conversation")
    assert name
    messages = with_system(messages_of(fields.take(name), fields.names[name], fields), fields)
    if not messages:
        raise RowProblem(f"`{fields.names[name]}` has no messages")
    example = {"messages": messages, **tools(fields)}
    if not any(message["role"] == "assistant" for message in messages):
        # A reinforcement example: its other fields are what the grader compares the answer with.
        return Example("reinforcement", {**example, **fields.keep_the_rest()})
    _refuse_second_pair(fields, name, texts_of(messages))
    return Example("chat" if name == "messages" else "ShareGPT", example)


def _refuse_second_pair(fields: Fields, name: str, texts: set[str]) -> None:
    """Refuse a row with a conversation and, beside it, another question with another answer."""
    left = set(fields.lost(texts))
    questions = [each for each in question_names(fields) if fields.names[each] in left and each in QUESTION]
    answers = [each for each in fields.present(ANSWER) if fields.names[each] in left]
    if questions and answers:
        pair = f"`{fields.names[questions[0]]}` with `{fields.names[answers[0]]}`"
        drops = f"--drop {fields.names[name]}, or --drop {fields.names[questions[0]]} --drop {fields.names[answers[0]]}"
        raise RowProblem(f"`{fields.names[name]}` and {pair} could each be the example. Choose one: {drops}")

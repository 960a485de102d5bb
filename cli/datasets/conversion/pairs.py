"""Makes chat examples of a question and its answer: prompt/completion, Alpaca, and tables of two columns."""

from typing import Any, NamedTuple

from cli.datasets.conversion.fields import Fields
from cli.datasets.conversion.names import ANSWER, CONTEXT, HISTORY, QUESTION, TOOLS, is_conversation, is_message
from cli.datasets.conversion.rows import RowProblem, structured
from cli.datasets.conversion.tool_turns import tools_of
from cli.datasets.conversion.turns import Message, messages_of, with_system


class Example(NamedTuple):
    """`shape` is what kind of row it was made of."""

    shape: str
    value: dict[str, Any]


def example_of_pair(fields: Fields) -> Example:
    """The chat example of a row with a question and an answer. Raises `RowProblem` if one is missing or has rivals."""
    questions, answers = question_names(fields), fields.present(ANSWER)
    if not questions or not answers:
        raise RowProblem(_missing(fields, questions, answers))
    answer = fields.take_only(ANSWER, "the answer")
    assert answer
    trimmed = questions == ["prompt"] and answer == "completion"
    opening = opening_messages(fields, trimmed=trimmed)
    said = fields.take(answer)
    if is_message(structured(said)) or is_conversation(structured(said)):
        closing = messages_of(said, fields.names[answer], fields)
    else:
        closing = [{"role": "assistant", "content": _text(fields, answer, trimmed)}]
    return Example(_shape(fields, questions, answer), {"messages": opening + closing, **tools(fields)})


def question_names(fields: Fields) -> list[str]:
    """The fields that may be the question; Alpaca's `input` is no rival of its `instruction`."""
    names = fields.present(QUESTION)
    return [name for name in names if name != "input"] if "instruction" in names else names


def opening_messages(fields: Fields, *, trimmed: bool = False) -> list[Message]:
    """What comes before the answer: system message, history and question."""
    names = question_names(fields)
    if len(names) > 1:
        key = fields.take_only(names, "the user's message")
        assert key
        names = [key]
    history = fields.take_only(HISTORY, "the history")
    before = messages_of(fields.take(history), fields.names[history], fields) if history else []
    return with_system(before + _question(fields, names, trimmed), fields)


def _question(fields: Fields, names: list[str], trimmed: bool) -> list[Message]:
    if names:
        said = structured(fields.take(names[0]))
        if is_message(said) or is_conversation(said):
            return messages_of(said, fields.names[names[0]], fields)
    extra = [name for name in ("input", *CONTEXT) if name not in names and fields.present([name])]
    texts = [_text(fields, name, trimmed) for name in [*names, *extra]]
    return [{"role": "user", "content": "\n\n".join(texts)}] if texts else []


def _text(fields: Fields, name: str, trimmed: bool) -> str:
    """The text of a field. The older completion models wanted spaces around their texts, which a chat does not have."""
    text = fields.text(name)
    if trimmed and text != text.strip():
        fields.is_trimmed = True
    return text.strip() if trimmed else text


def tools(fields: Fields) -> dict[str, Any]:
    """The row's tools, in the chat API's form."""
    found: dict[str, Any] = {}
    for name in fields.present(TOOLS):
        value = fields.take(name)
        found[name] = value if name == "parallel_tool_calls" else tools_of(value, name)
    return found


def _shape(fields: Fields, questions: list[str], answer: str) -> str:
    if "instruction" in questions and (answer == "output" or fields.present(["input"])):
        return "Alpaca"
    return f"{fields.names[questions[0]]}/{fields.names[answer]}"


def _missing(fields: Fields, questions: list[str], answers: list[str]) -> str:
    for names, found in ((QUESTION, questions), (ANSWER, answers)):
        empty = [fields.names[name] for name in names if name in fields.names]
        if not found and empty:
            return f"`{empty[0][:40]}` is empty"
    if "text" in fields.names and not questions and not answers:
        return "`text` is one text, in which question and answer are not apart. Give each a field of its own"
    if questions or answers:
        has, lacks = ("question", "answer") if questions else ("answer", "question")
        named = fields.names[(questions or answers)[0]]
        advice = f"--rename FIELD={lacks}"
        return f"`{named}` is the {has}, but there is no {lacks}; the fields are: {fields.shown()}. If one is: {advice}"
    advice = "Say which are question and answer: --rename FIELD=question --rename FIELD=answer"
    return f"none of the fields is known as a question or an answer; they are: {fields.shown()}. {advice}"

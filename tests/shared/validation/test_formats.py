"""The rules of the four formats: keys, the sequence of roles, outputs; and what a line of another format is told."""

from typing import Any

import pytest

from shared.datasets.validation.rules.formats import examine_roles
from tests.shared.dataset_lines import checked, lines
from tests.shared.validation.paths import ANSWER, SYSTEM, USER, chat, found

Row = tuple[Any, list[str]]
TOOL_RESULT = {"role": "tool", "content": "3", "tool_call_id": "c"}
TOO_LONG = {"messages": [SYSTEM, *[USER, ANSWER] * 500]}
EXACTLY = {"messages": [SYSTEM, USER, *[ANSWER] * 998]}

CHAT: list[Row] = [
    (chat(), []),
    (chat(extra=1), ["warning unrecognized_key $"]),
    ({"messages": []}, ["error missing_messages_list $.messages"]),
    ({"messages": None}, ["error missing_messages_list $.messages"]),
    ({"messages": {}}, ["error missing_messages_list $.messages"]),
    ({}, ["error missing_messages_list $"]),
    ({"other": 1}, ["error missing_messages_list $"]),
    ([], ["error data_type $"]),
    (None, ["error data_type $"]),
    ("a", ["error data_type $"]),
    (1, ["error data_type $"]),
    ({"conversations": [{"from": "human", "value": "a"}]}, ["error unknown_format $"]),
    ({"prompt": "a", "completion": "b"}, ["error mixed_formats $"]),
    ({"input": chat()}, ["error mixed_formats $"]),
    ({"preferred_completion": []}, ["error mixed_formats $"]),
    ({"messages": [USER, ANSWER]}, ["warning missing_system_message $.messages"]),
    ({"messages": [{"role": "developer", "content": "a"}, USER, ANSWER]}, []),
    ({"messages": [SYSTEM, ANSWER]}, ["warning missing_user_message $.messages"]),
    ({"messages": [SYSTEM, USER]}, ["error example_missing_assistant_message $.messages"]),
    ({"messages": [SYSTEM, USER, ANSWER, USER]}, ["warning last_message_not_assistant $.messages"]),
    (
        {"messages": [SYSTEM, USER, ANSWER, {"role": "bot", "content": "a"}]},
        ["error unrecognized_role $.messages[3].role", "warning last_message_not_assistant $.messages"],
    ),
    ({"messages": [SYSTEM, USER, {**ANSWER, "weight": 0}]}, ["warning nothing_trained $.messages"]),
    ({"messages": [SYSTEM, USER, {**ANSWER, "weight": 0}, USER, ANSWER]}, []),
    (EXACTLY, []),
    (TOO_LONG, ["warning many_messages $.messages"]),
]

REINFORCEMENT: list[Row] = [
    ({"messages": [USER], "reference": 2}, []),
    ({"messages": [SYSTEM, USER, ANSWER, USER]}, []),
    ({"messages": [USER, ANSWER]}, ["error last_message_not_user $.messages"]),
    ({"messages": [SYSTEM]}, ["error last_message_not_user $.messages"]),
    ({"messages": []}, ["error missing_messages_list $.messages"]),
    ({"prompt": "a"}, ["error mixed_formats $"]),
    ({"reference": 2}, ["error missing_messages_list $"]),
]

COMPLETION: list[Row] = [
    ({"prompt": "a", "completion": "b"}, []),
    ({"prompt": "", "completion": "b"}, ["warning empty_content $.prompt"]),
    ({"prompt": "a", "completion": ""}, ["error missing_content $.completion"]),
    ({"prompt": "a"}, ["error missing_key $"]),
    ({"completion": "b"}, ["error missing_key $"]),
    ({"prompt": 1, "completion": "b"}, ["error invalid_type $.prompt"]),
    ({"prompt": "a", "completion": ["b"]}, ["error invalid_type $.completion"]),
    ({"prompt": None, "completion": None}, ["error invalid_type $.completion", "error invalid_type $.prompt"]),
    ({"prompt": "a", "completion": "b", "id": 1}, ["warning unrecognized_key $"]),
    (chat(), ["error mixed_formats $"]),
    ({"text": "a"}, ["error unknown_format $"]),
]


def preference(**changes: Any) -> dict[str, Any]:
    asked = {"messages": [SYSTEM, USER]}
    example = {"input": asked, "preferred_output": [ANSWER], "non_preferred_output": [{**ANSWER, "content": "11."}]}
    return {key: value for key, value in {**example, **changes}.items() if value != "absent"}


IMAGE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}
NO_ROLE = ["error invalid_output $.preferred_output", "error message_missing_key $.preferred_output[0]"]
PREFERENCE: list[Row] = [
    (preference(), []),
    (preference(id=1), ["warning unrecognized_key $"]),
    (preference(input="absent"), ["error missing_key $"]),
    (preference(input=[]), ["error invalid_type $.input"]),
    (preference(input={"messages": []}), ["error missing_messages_list $.input.messages"]),
    (preference(input={}), ["error missing_messages_list $.input.messages"]),
    (preference(input={"messages": [USER], "functions": []}), ["warning unrecognized_key $.input"]),
    (preference(input={"messages": [USER], "tools": 1}), ["error invalid_type $.input.tools"]),
    (preference(input={"messages": [IMAGE]}), ["error misplaced_image $.input.messages[0].content[0]"]),
    (preference(preferred_output="absent"), ["error missing_key $"]),
    (preference(preferred_output="absent", preferred_completion=[ANSWER]), ["error missing_key $"]),
    (preference(non_preferred_output="absent"), ["error missing_key $"]),
    (preference(preferred_output=[]), ["error invalid_output $.preferred_output"]),
    (preference(preferred_output=ANSWER), ["error invalid_output $.preferred_output"]),
    (preference(preferred_output=[ANSWER, ANSWER]), ["error invalid_output $.preferred_output"]),
    (preference(preferred_output=[USER]), ["error invalid_output $.preferred_output"]),
    (
        preference(preferred_output=["a"]),
        ["error invalid_output $.preferred_output", "error invalid_type $.preferred_output[0]"],
    ),
    (preference(preferred_output=[{"content": "a"}]), NO_ROLE),
    (preference(preferred_output=[{"content": "a", "name": "b"}]), NO_ROLE),
    (preference(preferred_output=[{"content": [{"type": "text", "text": "a"}]}]), NO_ROLE),
    (preference(preferred_output=[{**USER, "name": "b"}]), ["error invalid_output $.preferred_output"]),
    (preference(preferred_output=[{**ANSWER, "content": ""}]), ["warning empty_content $.preferred_output[0].content"]),
    (preference(non_preferred_output=[ANSWER]), ["warning identical_outputs $"]),
    (chat(), ["error mixed_formats $"]),
]

CASES = [
    (example, format_, expected)
    for format_, table in (
        ("chat", CHAT),
        ("reinforcement", REINFORCEMENT),
        ("completion", COMPLETION),
        ("preference", PREFERENCE),
    )
    for example, expected in table
]


@pytest.mark.parametrize(("example", "format_", "expected"), CASES)
def test_an_example_of_a_format_has_these_findings(example: Any, format_: str, expected: list[str]) -> None:
    assert found(example, format_) == sorted(expected)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ([ANSWER, ANSWER], []),
        ([ANSWER] * 100, []),
        ([ANSWER] * 101, ["error invalid_output $.preferred_output"]),
        ([USER, ANSWER], ["error invalid_output $.preferred_output"]),
        ([TOOL_RESULT, ANSWER], ["error unknown_tool_call_id $.preferred_output[0].tool_call_id"]),
        (
            [TOOL_RESULT],
            [
                "error invalid_output $.preferred_output",
                "error unknown_tool_call_id $.preferred_output[0].tool_call_id",
            ],
        ),
    ],
)
def test_azure_allows_outputs_of_several_messages(output: list[Any], expected: list[str]) -> None:
    assert found(preference(preferred_output=output), "preference", provider="azure") == expected


@pytest.mark.parametrize(
    ("sender", "shown"), [("user", "from the user"), ("tool", "from the tool"), ("bot", "from an unknown role")]
)
def test_the_sentence_says_who_sent_the_last_message(sender: str, shown: str) -> None:
    messages = [message for _, message in examine_roles("chat", ["system", "user", "assistant", sender])]
    assert messages == [f"the last message is {shown}, not from the assistant"]


RENAMED = preference()
RENAMED["prefered_output"] = RENAMED.pop("preferred_output")


@pytest.mark.parametrize(
    ("example", "hint"),
    [
        (chat({"role": "user", "contents": "a"}), "Rename `contents` to `content`"),
        (chat({"roles": "user", "content": "a"}), "Rename `roles` to `role`"),
        ({"mesages": [USER]}, "Rename `mesages` to `messages`"),
        ({"Messages": [USER]}, "Rename `Messages` to `messages`"),
        (RENAMED, "Rename `prefered_output` to `preferred_output`"),
        (chat({**USER, "contents": "a"}), None),
        (chat({**ANSWER, "tool_call_id": "c"}), None),
    ],
)
def test_a_misspelt_key_is_to_be_renamed(example: Any, hint: str | None) -> None:
    hints = {problem.hint for problem in checked(lines(*[example] * 10)).problems}
    assert {each for each in hints if each and each.startswith("Rename")} == ({hint} if hint else set())

"""The rules of one message: each row is a message between others without findings, and what is found in it."""

import json
from typing import Any

import pytest

from tests.shared.dataset_lines import checked, lines
from tests.shared.validation.paths import Case, chat, found

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
TEXT, UNTYPED = {"type": "text", "text": "a"}, {"text": "x"}
CALLED = [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]
M = "$.messages[1]"
UNTYPED_ANSWER = [f"error invalid_part {M}.content[0]", f"warning tool_content_parts {M}.content"]


def user(content: Any = "a", **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def answer(content: Any = "a", **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def image(url: Any, **more: Any) -> dict[str, Any]:
    return user([{"type": "image_url", "image_url": {"url": url, **more}}])


ROLES: list[Case] = [
    (user(), []),
    ({"role": "developer", "content": "a"}, []),
    ({"role": "function", "content": "a", "name": "f"}, []),
    ({"role": "function", "content": None, "name": "f"}, []),
    ({"role": "function", "content": "a"}, [f"error message_missing_key {M}"]),
    ({"role": "tool", "content": "a"}, [f"error message_missing_key {M}"]),
    ({"role": "tool", "content": "a", "tool_call_id": 1}, [f"error message_missing_key {M}"]),
    ({"role": "bot", "content": "a"}, [f"error unrecognized_role {M}.role"]),
    ({"role": "User", "content": "a"}, [f"error unrecognized_role {M}.role"]),
    ({"role": "", "content": "a"}, [f"error unrecognized_role {M}.role"]),
    ({"role": None, "content": "a"}, [f"error unrecognized_role {M}.role"]),
    ({"role": 1, "content": "a"}, [f"error unrecognized_role {M}.role"]),
    ({"role": ["user"], "content": "a"}, [f"error unrecognized_role {M}.role"]),
    ({"content": "a"}, [f"error message_missing_key {M}"]),
    ({}, [f"error message_missing_key {M}", f"error message_missing_key {M}"]),
    ("user: a", [f"error invalid_type {M}"]),
    (None, [f"error invalid_type {M}"]),
    ([user()], [f"error invalid_type {M}"]),
]

KEYS: list[Case] = [
    (user(name="bob_1-x"), []),
    (user(name=None), []),
    (user(name="x" * 64), []),
    (user(name="x" * 65), [f"warning invalid_name {M}.name"]),
    (user(name="bob b"), [f"warning invalid_name {M}.name"]),
    (user(name="bob\n"), [f"warning invalid_name {M}.name"]),
    (user(name="böb"), [f"warning invalid_name {M}.name"]),
    (user(name=""), [f"warning invalid_name {M}.name"]),
    (user(name=1), [f"error invalid_type {M}.name"]),
    (user(id="1"), [f"error message_unrecognized_key {M}"]),
    (user(refusal="no"), [f"error message_unrecognized_key {M}"]),
    (user(tool_call_id="c"), [f"error message_unrecognized_key {M}"]),
    (user(a=1, b=2), [f"error message_unrecognized_key {M}", f"error message_unrecognized_key {M}"]),
    (answer(audio=None), []),
    (answer(audio={"id": "a"}), [f"warning untrained_part {M}.audio"]),
    (user(audio=None), [f"error message_unrecognized_key {M}"]),
    (answer(weight=0), []),
    (answer(weight=1), []),
    (answer(weight=None), []),
    (answer(weight=2), [f"error invalid_weight {M}.weight"]),
    (answer(weight=-1), [f"error invalid_weight {M}.weight"]),
    (answer(weight=1.0), []),
    (answer(weight=0.0), []),
    (answer(weight=0.5), [f"error invalid_weight {M}.weight"]),
    (answer(weight=True), [f"error invalid_weight {M}.weight"]),
    (answer(weight="1"), [f"error invalid_weight {M}.weight"]),
    (answer(weight=[]), [f"error invalid_weight {M}.weight"]),
    (user(weight=0), [f"warning misplaced_weight {M}.weight"]),
    (user(weight=None), []),
    (user(weight=7), [f"error invalid_weight {M}.weight"]),
]

CONTENT: list[Case] = [
    (user(""), [f"warning empty_content {M}.content"]),
    (user(" "), []),
    (answer(""), [f"warning empty_content {M}.content"]),
    (answer("", weight=0), [f"warning empty_content {M}.content"]),
    (answer("", refusal="no"), []),
    (answer(None, refusal="no"), []),
    ({"role": "assistant", "refusal": "no"}, []),
    (answer(None, refusal=""), [f"error missing_content {M}.content"]),
    (answer(refusal=1), [f"error invalid_type {M}.refusal"]),
    (answer(refusal=None), []),
    ({"role": "assistant"}, [f"error message_missing_key {M}"]),
    ({"role": "user"}, [f"error message_missing_key {M}"]),
    (user(None), [f"error missing_content {M}.content"]),
    (answer(None), [f"error missing_content {M}.content"]),
    (user(1), [f"error missing_content {M}.content"]),
    (user({}), [f"error missing_content {M}.content"]),
    (user([]), [f"error missing_content {M}.content"]),
]

PARTS: list[Case] = [
    (user([TEXT]), []),
    (user([TEXT, TEXT]), []),
    (user([{"type": "text", "text": ""}]), []),
    (answer([TEXT]), []),
    (answer([{"type": "refusal", "refusal": "no"}]), []),
    (answer([{"type": "refusal"}]), [f"error invalid_part {M}.content[0].refusal"]),
    (user([{"type": "refusal", "refusal": "no"}]), [f"error invalid_part {M}.content[0]"]),
    (user(["a"]), [f"error invalid_part {M}.content[0]"]),
    (user([TEXT, None]), [f"error invalid_part {M}.content[1]"]),
    (user([{}]), [f"error invalid_part {M}.content[0]"]),
    (user([{"text": "a"}]), [f"error invalid_part {M}.content[0]"]),
    ({"role": "system", "content": [UNTYPED]}, [f"error invalid_part {M}.content[0]"]),
    ({"role": "developer", "content": [TEXT, UNTYPED]}, [f"error invalid_part {M}.content[1]"]),
    ({"role": "function", "name": "f", "content": [UNTYPED]}, UNTYPED_ANSWER),
    ({"role": "system", "content": [{"type": "refusal", "refusal": "no"}]}, [f"error invalid_part {M}.content[0]"]),
    (user([{"type": "input_audio", "input_audio": {}}]), [f"warning untrained_part {M}.content[0]"]),
    (user([{"type": "file", "file": {"file_id": "f"}}]), [f"warning untrained_part {M}.content[0]"]),
    (user([{"type": "file"}]), [f"error invalid_part {M}.content[0]"]),
    (answer([TEXT, {"type": "refusal", "refusal": "no"}]), [f"warning mixed_parts {M}.content[1]"]),
    ({"role": "function", "name": "f", "content": [TEXT]}, [f"warning tool_content_parts {M}.content"]),
    (user([{"type": "audio"}]), [f"error invalid_part {M}.content[0]"]),
    (user([{"type": ["text"]}]), [f"error invalid_part {M}.content[0]"]),
    (user([{"type": "text"}]), [f"error invalid_part {M}.content[0].text"]),
    (user([{"type": "text", "text": 1}]), [f"error invalid_part {M}.content[0].text"]),
]

IMAGES: list[Case] = [
    (user([TEXT, IMAGE]), []),
    (user([IMAGE] * 10), []),
    (user([IMAGE] * 11), ["error too_many_images $.messages"]),
    ({"role": "system", "content": [IMAGE]}, [f"error misplaced_image {M}.content[0]"]),
    (answer([IMAGE]), [f"error misplaced_image {M}.content[0]"]),
    (image("https://example.com/a.png", detail="low"), []),
    (image("https://example.com/a.png", detail="auto"), []),
    (
        image("https://example.com/a.png", detail="tiny"),
        [f"error invalid_part {M}.content[0].image_url.detail"],
    ),
    (image("https://example.com/a.png", detail=[]), [f"error invalid_part {M}.content[0].image_url.detail"]),
    (image("http://example.com/a.png"), []),
    (image("ftp://example.com/a.png"), [f"error invalid_image_url {M}.content[0].image_url.url"]),
    (image("https://example.com/a b.png"), [f"error invalid_image_url {M}.content[0].image_url.url"]),
    (image("a.png"), [f"error invalid_image_url {M}.content[0].image_url.url"]),
    (image(""), [f"error invalid_image_url {M}.content[0].image_url.url"]),
    (image(None), [f"error invalid_part {M}.content[0].image_url"]),
    (user([{"type": "image_url"}]), [f"error invalid_part {M}.content[0].image_url"]),
    (user([{"type": "image_url", "image_url": "https://x.y"}]), [f"error invalid_part {M}.content[0].image_url"]),
]

CASES = [(chat(message), expected) for message, expected in [*ROLES, *KEYS, *CONTENT, *PARTS, *IMAGES]]


@pytest.mark.parametrize(("example", "expected"), CASES)
def test_a_message_has_these_findings(example: Any, expected: list[str]) -> None:
    assert found(example) == sorted(expected)


@pytest.mark.parametrize(
    ("message", "words", "hint"),
    [
        ({"role": "Assistant", "content": "a"}, "'Assistant'", "`assistant`"),
        ({"role": "bot", "content": "a"}, "'bot'", "`assistant`"),
        ({"role": "human", "content": "a"}, "'human'", "`user`"),
        ({"role": "narrator", "content": "a"}, "'narrator'", "one of the roles"),
        (answer(weight=True), "this is true", "0 or 1"),
        (answer(weight=0.5), "this is 0.5", "0 or 1"),
    ],
)
def test_the_sentence_says_what_is_meant(message: Any, words: str, hint: str) -> None:
    (problem,) = checked(lines(*[chat(message)] * 10)).errors[:1]
    assert words in problem.message
    assert hint in (problem.hint or "")


def test_messages_that_are_a_text_are_to_be_decoded() -> None:
    example = chat()
    example["messages"] = json.dumps(example["messages"])
    (problem,) = checked(lines(*[example] * 10)).errors[:1]
    assert problem.message == "`messages` is a string that holds JSON"
    assert "Decode the text" in (problem.hint or "")


def test_a_part_without_a_type_is_invalid_in_the_answer_of_a_tool() -> None:
    asked = {"role": "assistant", "content": None, "tool_calls": CALLED}
    found_in_it = found(chat(asked, {"role": "tool", "tool_call_id": "c", "content": [UNTYPED]}))
    assert [each for each in found_in_it if "error" in each] == ["error invalid_part $.messages[2].content[0]"]


def test_a_repeated_key_is_found_in_a_part_without_a_type() -> None:
    line = json.dumps(chat({"role": "system", "content": [UNTYPED]})).replace('{"text"', '{"text": "y", "text"')
    part = f"{M}.content[0]"
    assert found(line.encode()) == [f"error invalid_part {part}", f"warning duplicate_key {part}"]


def test_images_of_several_messages_are_counted_together() -> None:
    assert found(chat(user([IMAGE] * 6), user([IMAGE] * 5))) == ["error too_many_images $.messages"]

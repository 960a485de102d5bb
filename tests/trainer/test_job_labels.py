"""What is learnt of an example, and which examples are refused. All cases are answered by one process."""

from typing import Any

import pytest

from tests.trainer.labelling import ANSWER, ASKED, answered, chat, pair

pytestmark = pytest.mark.timeout(1800)  # one process, which imports transformers
AGAIN = [{"role": "user", "content": "And a loss?"}, {"role": "assistant", "content": "How wrong it is."}]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
PLAIN = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SHORTENS = (  # leaves earlier answers out once the conversation goes on
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if m['role'] != 'assistant' or loop.last %}{{ m['content'] }}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
RAISES = "{{ raise_exception('roles must alternate') }}"
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


LEARNT: dict[str, tuple[dict[str, Any], list[list[str]]]] = {
    "an answer with the end of its turn": ({"lines": [chat(ASKED, ANSWER)]}, [["A slope.<|im_end|>"]]),
    "each answer": ({"lines": [chat(ASKED, ANSWER, *AGAIN)]}, [["A slope.<|im_end|>", "How wrong it is.<|im_end|>"]]),
    "no answer of weight 0": (
        {"lines": [chat(ASKED, ANSWER | {"weight": 0}, *AGAIN)]},
        [["How wrong it is.<|im_end|>"]],
    ),
    "answers of weight 1": ({"lines": [chat(ASKED, ANSWER | {"weight": 1})]}, [["A slope.<|im_end|>"]]),
    "a call of a tool": (
        {"lines": [chat(ASKED, {"role": "assistant", "tool_calls": [CALL]}, tools=[TOOL])]},
        [['<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call><|im_end|>']],
    ),
    "not what a tool says": (
        {
            "lines": [
                chat(
                    ASKED,
                    {"role": "assistant", "content": None, "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
                    {"role": "assistant", "content": "It rains."},
                    tools=[TOOL],
                )
            ]
        },
        [
            [
                '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call><|im_end|>',
                "It rains.<|im_end|>",
            ]
        ],
    ),
    "text in parts": (
        {
            "lines": [
                chat(ASKED, {"role": "assistant", "content": [{"type": "text", "text": t} for t in ("A", " slope")]})
            ]
        },
        [["A slope<|im_end|>"]],
    ),
    "a completion, as an answer": ({"lines": [{"prompt": "1+1=", "completion": "2"}]}, [["2<|im_end|>"]]),
    "a completion of a base without a template": (
        {"lines": [{"prompt": "1+1=", "completion": "2"}], "template": None},
        [["2<|im_end|>"]],
    ),
    "an answer with the end token's text in the question": (
        {"lines": [chat({"role": "user", "content": "Say <|im_end|>"}, ANSWER)]},
        [["A slope.<|im_end|>"]],
    ),
    "letters of several bytes": (
        {"lines": [chat(ASKED, {"role": "assistant", "content": "Ein Gefälle 🙂"})]},
        [["Ein Gefälle 🙂<|im_end|>"]],
    ),
    "the last answer, where a template shortens those before": (
        {"lines": [chat(ASKED, ANSWER | {"weight": 0}, *AGAIN)], "template": SHORTENS},
        [["How wrong it is.<|im_end|>"]],
    ),
    "what is left of a row that is cut": (
        {"lines": [chat(ASKED, {"role": "assistant", "content": "x" * 900})], "max_length": 60},
        [["x" * 45]],
    ),
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a template that changes what it wrote": (
        {"lines": [chat(ASKED, ANSWER), chat(ASKED, ANSWER, *AGAIN)], "template": SHORTENS},
        "Line 2 of the training file cannot be trained on with the chat template of this base: it writes an answer "
        "differently once the conversation goes on. Give weight 0 to all answers but the last",
    ),
    "a row longer than the context": (
        {"lines": [chat(ASKED, ANSWER)], "context": 10},
        "tokens, but the context of this base has 10. Shorten the example, or set provider_options.max_length",
    ),
    "only rows that teach nothing": (
        {"lines": [chat(ASKED, ANSWER), chat(ASKED, ANSWER | {"weight": 0})], "max_length": 8},
        "No example in the training file teaches anything: nothing to learn is left within 8 tokens (line 1); each "
        "answer has weight 0 or is empty (line 2). Give a larger provider_options.max_length, or remove it. Give "
        "answers a text, and weight 1.",
    ),
    "an image": (
        {"lines": [chat({"role": "user", "content": [IMAGE]}, ANSWER)]},
        "has an image, and this trainer trains on text only. Remove the example, or its image.",
    ),
    "a sound": (
        {"lines": [chat({"role": "user", "content": [{"type": "input_audio"}]}, ANSWER)]},
        'has a part of the type "input_audio", and this trainer trains on text only.',
    ),
    "tools that the template does not show": (
        {"lines": [chat(ASKED, ANSWER, tools=[TOOL])], "template": PLAIN},
        "has tools, but the chat template of this base shows no tools. Choose a base that knows tools.",
    ),
    "calls that the template does not show": (
        {"lines": [chat(ASKED, {"role": "assistant", "tool_calls": [CALL]})], "template": PLAIN},
        "calls a tool, but the chat template of this base shows no calls.",
    ),
    "functions": ({"lines": [chat(ASKED, ANSWER, functions=[{}])]}, "Write them as `tools`."),
    "tools in a text": ({"lines": [chat(ASKED, ANSWER, tools="[]")]}, "Write the list itself, not a text of it."),
    "what the template refuses": (
        {"lines": [chat(ASKED, ANSWER)], "template": RAISES},
        "Line 1 of the training file is refused by the chat template of this base (roles must alternate).",
    ),
    "a conversation without a template": (
        {"lines": [chat(ASKED, ANSWER)], "template": None},
        "is a conversation, but this base has no chat template.",
    ),
    "a row of another shape": ({"lines": [{"text": "x"}]}, "Line 1 of the training file cannot be read (KeyError"),
    "no rows": ({"lines": []}, "The training file has no examples."),
    "only pairs that teach nothing": (
        {"lines": [pair("Yes.", "No."), pair("No.", "No.")], "method": "dpo", "max_length": 12},
        "No example in the training file teaches anything: nothing to learn is left within 12 tokens (line 1); both "
        "answers are the same (line 2). Give a larger provider_options.max_length, or remove it. Give answers that "
        "differ.",
    ),
}
PAIRS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "the answers with the end of their turns": (
        {"lines": [pair("Yes.", "No.")], "method": "dpo"},
        {
            "prompt": "<|im_start|>user\nWhat is a gradient?<|im_end|>\n<|im_start|>assistant\n",
            "chosen": "Yes.<|im_end|>",
            "rejected": "No.<|im_end|>",
        },
    ),
}
CASES = [case for part in (LEARNT, REFUSED, PAIRS) for case, _ in part.values()]
NAMES = [*LEARNT, *REFUSED, *PAIRS]


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    return dict(zip(NAMES, answered(CASES), strict=True))


@pytest.mark.parametrize("name", LEARNT)
def test_learns(name: str, answers: dict[str, Any]) -> None:
    assert [row["learnt"] for row in answers[name]["rows"]] == LEARNT[name][1]


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str, answers: dict[str, Any]) -> None:
    assert REFUSED[name][1] in answers[name]["failed"]
    assert (answers[name]["code"], answers[name]["param"]) == ("invalid_training_file", "training_file")


@pytest.mark.parametrize("name", PAIRS)
def test_learns_of_pairs(name: str, answers: dict[str, Any]) -> None:
    assert answers[name]["rows"] == [PAIRS[name][1]]


def test_tools_are_shown_to_the_model(answers: dict[str, Any]) -> None:
    text = answers["a call of a tool"]["rows"][0]["text"]
    assert text.startswith('<|im_start|>system\n# Tools\n[{"type": "function", "function": {"name": "weather"')

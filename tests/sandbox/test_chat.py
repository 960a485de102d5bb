"""Chat: a base says something plain, a tuned model what it remembers."""

from typing import Any

import pytest
from openai import NotFoundError

from tests.sandbox.process import Sandbox, chat

EXAMPLES = [
    chat("What is overfitting?", "Thy model doth learn the very noise by heart."),
    chat("What is a gradient?", "The steepest path upon yon hill of loss."),
    *[chat(f"What is thing number{index}?", "Nay, I know it not.") for index in range(8)],
]


def ask(sandbox: Sandbox, model: str, question: str) -> str | None:
    messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
    answer = sandbox.openai.chat.completions.create(model=model, messages=messages)
    assert answer.system_fingerprint == "sandbox-remembers-does-not-learn"
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    return answer.choices[0].message.content


@pytest.fixture
def tuned(sandbox: Sandbox) -> str:
    return sandbox.tuned(training_file=sandbox.upload(*EXAMPLES).id).fine_tuned_model or ""


def test_a_tuned_model_gives_the_reply_of_the_nearest_example(sandbox: Sandbox, tuned: str) -> None:
    assert ask(sandbox, tuned, "Tell me about overfitting!") == "Thy model doth learn the very noise by heart."
    assert ask(sandbox, tuned, "what is the gradient of it") == "The steepest path upon yon hill of loss."


def test_a_base_answers_plainly_and_about_the_question(sandbox: Sandbox) -> None:
    plain = ask(sandbox, "gpt-4o-mini", "What is overfitting?") or ""
    assert "overfitting" in plain
    assert "thy" not in plain.lower()


def test_a_checkpoint_answers_too(sandbox: Sandbox, tuned: str) -> None:
    checkpoint = next(model.id for model in sandbox.openai.models.list() if ":ckpt-step-" in model.id)
    assert ask(sandbox, checkpoint, "overfitting") == ask(sandbox, tuned, "overfitting")


def test_a_model_that_was_tuned_twice_remembers_both(sandbox: Sandbox, tuned: str) -> None:
    further = sandbox.upload(*[chat(f"Who is person{index}?", "A friend.") for index in range(10)])
    twice = sandbox.tuned(training_file=further.id, model=tuned).fine_tuned_model or ""
    assert ask(sandbox, twice, "Who is person3?") == "A friend."
    assert ask(sandbox, twice, "overfitting") == "Thy model doth learn the very noise by heart."


def test_an_answer_can_be_streamed(sandbox: Sandbox, tuned: str) -> None:
    chunks = list(
        sandbox.openai.chat.completions.create(
            model=tuned,
            messages=[{"role": "user", "content": "What is a gradient?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    said = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(said) == "The steepest path upon yon hill of loss."
    assert len(said) > 3
    assert chunks[-1].usage
    assert chunks[-2].choices[0].finish_reason == "stop"


def test_a_stream_ends_with_done(sandbox: Sandbox) -> None:
    body = {
        "model": "gpt-4o",
        "stream": True,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }
    answer = sandbox.http.post("/v1/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n")


def test_an_unknown_model_is_not_found(sandbox: Sandbox) -> None:
    with pytest.raises(NotFoundError) as missing:
        ask(sandbox, "ft:gpt-4o:acme::none1234", "Hello?")
    assert missing.value.code == "model_not_found"

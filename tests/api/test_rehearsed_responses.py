"""POST /v1/responses against the sandbox, which answers by this API too, and what such a question must have."""

from typing import Any

from tests.api.test_chat import BASE
from tests.api.training import meet_the_base_models
from tests.api.wire import send
from tests.world import Person, Sandbox


def test_a_rehearsal_answers_by_this_api_too(alice: Person, sandbox: Sandbox) -> None:
    meet_the_base_models(alice)
    whole = alice.openai.responses.create(model=BASE, instructions="Be brief.", input="What is overfitting?")
    assert "overfitting" in whole.output_text
    assert whole.status == "completed"
    assert whole.usage
    items: Any = [{"role": "user", "content": "Hi"}, *whole.output, {"role": "user", "content": "What is a gradient?"}]
    events = list(alice.openai.responses.create(model=BASE, input=items, stream=True))
    said = "".join(each.delta for each in events if each.type == "response.output_text.delta")
    last = events[-1]
    assert last.type == "response.completed"
    assert "gradient" in said
    assert last.response.output_text == said


def test_a_question_without_a_model_lacks_a_parameter(alice: Person) -> None:
    answer = send(alice, "POST", "/responses", b'{"input": "Hi"}')
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "missing_required_parameter", "model")

"""What was estimated is what the job costs: the sandbox counts tokens by itself, as the estimate does."""

import json
from typing import Any

import pytest

from tests.api.datasets import show
from tests.api.training import meet_the_base_models, move
from tests.world import Person, Sandbox, work

ASK = {"role": "user", "content": "What is the weather in Zürich?   Tell me\n\nin three words. 🌦"}
ANSWER = {"role": "assistant", "content": "Rain, then sun."}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/sky.png"}}
LOW = {"type": "image_url", "image_url": {"url": "https://example.com/sky.png", "detail": "low"}}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string", "description": "Ort"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Wetter für …", "parameters": PARAMETERS}}]
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Zürich"}'}}
CALLED = [{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c1", "content": "{}"}]
DPO = {"type": "dpo", "dpo": {}}

EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({"messages": [{"role": "system", "content": "Be brief."}, ASK, ANSWER]}, {}),
    "names, weights and a refusal": (
        {
            "messages": [
                {**ASK, "name": "anna"},
                {**ANSWER, "weight": 0},
                ASK,
                {"role": "assistant", "content": None, "refusal": "No."},
            ]
        },
        {},
    ),
    "parts and images": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "See"}, IMAGE, LOW]}, ANSWER]},
        {},
    ),
    "tools": ({"messages": [ASK, *CALLED, ANSWER], "tools": TOOLS, "parallel_tool_calls": False}, {}),
    "preferences": (
        {
            "input": {"messages": [ASK], "tools": TOOLS},
            "preferred_output": [ANSWER],
            "non_preferred_output": [{"role": "assistant", "content": "I cannot know."}],
        },
        {"method": DPO},
    ),
    "longer than is trained on": ({"messages": [{"role": "user", "content": "sun and rain " * 30_000}, ANSWER]}, {}),
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_estimate_is_the_cost(alice: Person, sandbox: Sandbox, kind: str) -> None:
    example, body = EXAMPLES[kind]
    meet_the_base_models(alice)
    content = "".join(json.dumps(example, ensure_ascii=False) + "\n" for _ in range(11)).encode()
    file_id = alice.upload(content)
    work(2)
    method = body.get("method", {"type": "supervised"})["type"]
    estimate = show(alice, file_id, f"/estimate?model=gpt-4.1-mini&method={method}")
    assert estimate["amount"]
    job = move(alice, sandbox, alice.create_job(training_file=file_id, model="gpt-4.1-mini", **body), "succeeded")
    cost = alice.http.get(f"/fine_tuning/jobs/{job.id}").json()["cost"]
    assert (cost["tokens"], cost["amount"]) == (estimate["billed_tokens"], estimate["amount"])

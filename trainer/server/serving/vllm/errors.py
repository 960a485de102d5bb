"""What vLLM refuses, in our words: what a caller can change is told, what only the operator can goes to the log."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from trainer.server.serving.lines import Unavailable

PARAMS = frozenset({"messages", "tools", "max_tokens", "temperature", "top_p", "seed", "stop", "logprobs"})
Refusal = Callable[[int, Mapping[str, str], str], Exception]


class UnknownModel(Exception):
    """It does not serve the model: an adapter is gone since vLLM was started again, or was never loaded."""


def ended() -> Unavailable:
    return Unavailable(500, "serving_ended", "The process that answers for this model ended. Try again.")


def unreachable() -> Unavailable:
    message = "The vLLM that answers for this model cannot be reached; perhaps it is starting. Try again later."
    return Unavailable(503, "serving_unreachable", message, retry_after=5)


def not_vllm() -> Unavailable:
    return _misconfigured("what answers at its address does not answer as vLLM does")


def of_chat(status: int, headers: Mapping[str, str], body: str) -> Exception:
    message, param = _told(body)
    if status == 404:
        return UnknownModel()
    if status in (400, 413, 422):
        is_context = "context length" in message or "max_model_len" in message
        code = "context_length_exceeded" if is_context else "invalid_value"
        where = "messages" if is_context and param not in PARAMS else param if param in PARAMS else None
        return Unavailable(400, code, message[:1000] or "vLLM refuses this request.", param=where)
    return of_call(status, headers, body)


def of_load(status: int, headers: Mapping[str, str], body: str) -> Exception:
    message, _ = _told(body)
    if "max_lora_rank" in message:
        return _misconfigured("the adapter's rank is larger than its --max-lora-rank")
    if status == 404 and "error" not in body:
        return _misconfigured("it was started without VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 or --enable-lora")
    if status == 404:
        return _misconfigured("it does not see the adapter's folder, which must have the same path there")
    if status in (400, 500):
        message = "The adapter of this model cannot be loaded by vLLM. The trainer's log says why."
        return Unavailable(500, "adapter_broken", message)
    return of_call(status, headers, body)


def of_call(status: int, headers: Mapping[str, str], body: str) -> Exception:
    if status in (401, 403):
        return _misconfigured("it does not accept the key in TRAINER_VLLM_API_KEY")
    if status in (429, 503):
        message = "vLLM has too much to do for this model. Try again later."
        return Unavailable(429, "too_many_waiting", message, _seconds(headers.get("retry-after")))
    return Unavailable(500, "serving_failed", "vLLM failed at this request. The trainer's log says more.")


def _misconfigured(reason: str) -> Unavailable:
    return Unavailable(500, "serving_misconfigured", f"The vLLM that answers for this model cannot be used: {reason}.")


def _told(body: str) -> tuple[str, str | None]:
    """The message and the field of an error: in `error` (since vLLM 0.10), or beside each other, or a text alone."""
    try:
        said: Any = json.loads(body)
    except ValueError:
        return body[:1000], None
    error = said.get("error", said) if isinstance(said, dict) else said
    if not isinstance(error, dict):
        return str(error), None
    param = error.get("param")
    return str(error.get("message") or ""), param if isinstance(param, str) else None


def _seconds(header: str | None) -> float:
    try:
        found = float(header or "")
    except ValueError:
        return 2.0
    return min(max(found, 1.0), 60.0) if math.isfinite(found) else 2.0

"""Judges the fields of a question: only what cannot lead to something stored at the provider's account is passed on."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from api.chat import parts
from shared.errors import Invalid
from shared.providers.dialects import Endpoint

_OFF = {"store", "background"}  # may be there, but switched off
FALLBACKS = ("models", "fallbacks", "fallback_models")
_SAMPLING = {
    *("model", "stream", "stream_options", "temperature", "top_p", "top_logprobs", "user", *FALLBACKS),
    *("safety_identifier", "service_tier", "prompt_cache_key", "prompt_cache_retention", "metadata", "store"),
}
# What servers of open weights have beside OpenAI's fields.
_OPEN_WEIGHTS = {
    *("top_k", "min_p", "top_a", "typical_p", "repetition_penalty", "length_penalty", "min_tokens", "ignore_eos"),
    *("stop_token_ids", "include_stop_str_in_output", "skip_special_tokens", "spaces_between_special_tokens"),
    *("bad_words", "allowed_token_ids", "prompt_logprobs", "echo", "add_generation_prompt", "continue_final_message"),
    *("add_special_tokens", "chat_template_kwargs", "structured_outputs", "guided_json", "guided_regex"),
    *("guided_choice", "guided_grammar", "context_length_exceeded_behavior", "prompt_truncate_len", "mirostat_target"),
    *("reasoning", "thinking", "enable_thinking", "include_reasoning", "reasoning_history", "mirostat_lr"),
    *("thinking_token_budget", "separate_reasoning", "stream_reasoning", "use_beam_search", "truncate_prompt_tokens"),
    *("return_token_ids", "return_tokens_as_token_ids", "guided_whitespace_pattern", "guided_decoding_backend"),
    *("regex", "ebnf", "raw_output", "perf_metrics_in_response"),
}
_TEXT = {
    *("max_tokens", "n", "stop", "seed", "logprobs", "logit_bias", "frequency_penalty", "presence_penalty"),
    *("best_of", "reasoning_effort", "response_format"),
    *_SAMPLING,
    *_OPEN_WEIGHTS,
}
_CHAT = {
    *("messages", "audio", "function_call", "functions", "max_completion_tokens", "modalities", "parallel_tool_calls"),
    *("prediction", "tool_choice", "tools", "verbosity", "web_search_options"),
    *("prompt_cache_options", *_TEXT),
}
_RESPONSE = {
    *("input", "instructions", "max_output_tokens", "max_tool_calls", "parallel_tool_calls", "tool_choice", "tools"),
    *("text", "reasoning", "include", "truncation", "background", "prompt_cache_options", *_SAMPLING),
}
# What OpenAI's API has and Tunery passes to nobody, with what to do instead.
_AGAIN = "nothing is stored that it could name: send the items of the conversation again"
_STORED = {
    (Endpoint.RESPONSES, "previous_response_id"): _AGAIN,
    (Endpoint.RESPONSES, "conversation"): _AGAIN,
    (Endpoint.RESPONSES, "prompt"): "it names what is stored at the provider: send its text as instructions and input",
    (Endpoint.RESPONSES, "context_management"): "nothing is stored: send the items that are to count",
}
_ORDINARY = re.compile(r"[A-Za-z_]{1,40}")
FIELDS: Mapping[Endpoint, set[str]] = {
    Endpoint.CHAT: _CHAT,
    Endpoint.COMPLETIONS: {"prompt", "suffix", *_TEXT},
    Endpoint.RESPONSES: _RESPONSE,
}
# Of other fields every value may be passed on.
_TYPES: Mapping[Endpoint, Mapping[str, Any]] = {
    Endpoint.CHAT: {
        "messages": list[parts.Message],
        "tools": parts.Tools,
        "prediction": parts.Prediction | None,
        "audio": parts.Voice | None,
        "prompt_cache_options": parts.CacheOptions | None,
    },
    Endpoint.COMPLETIONS: {},
    Endpoint.RESPONSES: {
        "input": str | list[parts.Item] | None,
        "tools": parts.ResponseTools,
        "prompt_cache_options": parts.CacheOptions | None,
    },
}


def judge(fields: Mapping[str, Raw], endpoint: Endpoint) -> dict[str, Raw | bool]:
    """Return the fields to pass on: with nothing stored, and each part with what is known of it. Raises `Invalid`."""
    judged: dict[str, Raw | bool] = {}
    for name, value in fields.items():
        if name not in FIELDS[endpoint]:
            if bytes(value) != b"null":
                raise _refused(_shown(name), _STORED.get((endpoint, name), "it is not known here"))
            continue
        if name in FALLBACKS and bytes(value) == b"null":
            continue
        if name in _OFF and bytes(value) not in (b"null", b"false"):
            raise _refused(name, "nothing is stored, and no answer comes later: leave it out, or send false")
        kind = _TYPES[endpoint].get(name)
        judged[name] = value if kind is None else _checked(name, value, kind)
    return {**judged, "store": False} if endpoint is Endpoint.RESPONSES else judged


def _checked(name: str, value: Raw, kind: Any) -> Raw:
    try:
        found = msgspec.json.decode(value, type=kind)
    except msgspec.ValidationError as error:
        raise _as_refusal(name, str(error)) from None
    if name == "input" and isinstance(found, list):
        _check_items(found)
    return Raw(msgspec.json.encode(found))


def _as_refusal(field: str, error: str) -> Invalid:
    """What `msgspec` objects to: something that is not known or may not be there, or only a wrong type."""
    problem, _, place = error.partition(" - at `$")
    where = field + place.removesuffix("`")
    if "matching regex" in problem:
        return _refused(where, "only http, https and data addresses are")
    if problem.startswith("Expected `null`"):
        return _refused(where, "only null is")
    if problem.startswith("Object contains unknown field"):
        return _refused(where, f"{_shown(problem.split('`')[1])} is not known here")
    if problem.startswith("an item without"):
        return _refused(where, problem)
    if problem.startswith("Invalid"):
        return _refused(where, "its value is not one of those that are")
    return Invalid(f"{where}: {problem}", param=where)


def _shown(name: str) -> str:
    """A name that somebody has sent may be a secret that went astray, or long."""
    return name if _ORDINARY.fullmatch(name) else "a field"


def _check_items(items: list[parts.Item]) -> None:
    """The ids of items are left out, so that none is looked up instead of what stands beside it."""
    for number, item in enumerate(items):
        if item.type == "reasoning" and not item.encrypted_content:
            advice = 'reasoning needs its encrypted_content: ask with include: ["reasoning.encrypted_content"]'
            raise _refused(f"input[{number}]", advice)
        item.id = parts.FREE
        if item.type != "web_search_call":
            item.status = parts.FREE


def _refused(where: str, problem: str) -> Invalid:
    return Invalid(
        f"{where} is not passed on: {problem}. Projects may share the provider's account, so only fields that cannot "
        "lead to what is stored there are passed on: see docs/inference.md",
        code="reference_not_allowed",
        param=where,
    )

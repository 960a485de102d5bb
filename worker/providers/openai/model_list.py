"""Reads the list of models, which does not say what can be tuned."""

from typing import Any

from worker.providers import sanitize
from worker.providers.protocol import BaseModel

# What OpenAI has ever let its customers tune, and words in names of relatives that it has not.
_TUNABLE_PREFIXES = ("babbage-002", "davinci-002", "gpt-3.5-turbo", "gpt-4-0613", "gpt-4.1", "gpt-4o", "o4-mini")
_OTHER_USES = ("audio", "realtime", "search", "transcribe", "tts", "instruct", "deep-research", "image")


def base_models(listed: list[dict[str, Any]]) -> list[BaseModel]:
    """The models of a list that nobody has tuned. If none is one of OpenAI's tunable ones, this is a provider of other
    models, and all count as tunable."""
    raws = [raw for raw in listed if sanitize.is_id(raw.get("id")) and not str(raw["id"]).startswith("ft:")]
    tunable = {raw["id"] for raw in raws if _is_tunable(raw["id"])} or {raw["id"] for raw in raws}
    return [_base_model(raw, raw["id"] in tunable) for raw in raws]


def _is_tunable(id: str) -> bool:
    return id.startswith(_TUNABLE_PREFIXES) and not any(use in id for use in _OTHER_USES)


def _base_model(raw: dict[str, Any], is_tunable: bool) -> BaseModel:
    shutdown = raw.get("shutdown_date")
    return BaseModel(
        id=raw["id"],
        created=sanitize.number(raw.get("created"), bits=64) or 0,
        owned_by=sanitize.some_text(raw.get("owned_by")) or "",
        shutdown_date=sanitize.text(shutdown) if shutdown else None,
        is_tunable=is_tunable,
    )

"""Makes adapters callable at Nebius: a «custom model» of a checkpoint, served beside its base.

Its name there is `{base}-LoRa:{our id}-{four letters}`: it is the id, the mark, and what chats ask for.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from worker.providers import sanitize
from worker.providers.deploying import NewDeployment, ProviderDeployment, ProviderState
from worker.providers.openai import parsing

_OURS = re.compile(r"-LoRa:(dep_[0-9a-z]+)(-[^:/]*)?$")
_STATES: Mapping[str, ProviderState] = {
    "validating": ProviderState.STARTING,
    "active": ProviderState.READY,
    "error": ProviderState.FAILED,
}
_SERVED_AS = {"meta-llama/Llama-3.1-8B-Instruct": "meta-llama/Meta-Llama-3.1-8B-Instruct"}
"""Bases that are served by another name than they are trained by."""


def model_path(api: str, name: str) -> str:
    """The path of a model, whose name has slashes: public samples send them as they are.

    Raises `ValueError` for a name by which the call would reach another path.
    """
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise ValueError(f"{name!r} is no name of a model")
    return f"{api}/models/{quote(name, safe=':/')}"


def body(new: NewDeployment, checkpoint_id: str) -> dict[str, str]:
    return {
        "source": f"{new.provider_job_id}:{checkpoint_id}",
        "base_model": _SERVED_AS.get(new.base_model, new.base_model),
        "name": new.id,
    }


def items(answer: object) -> list[dict[str, Any]]:
    """The models of the list. Whether they come inside of `data` is not documented."""
    return parsing.items({"data": answer} if isinstance(answer, list) else answer)


def deployment(answer: object) -> ProviderDeployment:
    """The first answers about one may lack its status: it has just been accepted then."""
    raw = parsing.json_object(answer)
    name = parsing.id_of({"id": raw.get("name")})
    ours, word = _OURS.search(name), sanitize.some_text(raw.get("status"))
    return ProviderDeployment(
        id=name,
        deployment_id=ours[1] if ours else None,
        provider_status=word or "",
        state=_STATES.get(word) if word else ProviderState.STARTING,
        chat_model=name,
        created_at=sanitize.moment(raw.get("created_at")),
        error=sanitize.some_text(raw.get("status_reason")),
    )

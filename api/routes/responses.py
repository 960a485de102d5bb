"""Responses, passed through to the provider of the model; nothing is stored there."""

from fastapi.responses import StreamingResponse
from starlette.requests import Request

from api.auth.deps import CallerDep
from api.auth.scopes import scope
from api.chat.passing import UntilAnswered, answer
from api.http.router import Router
from api.routes.chat import LONGEST_PROMPT, body_of
from shared.errors import NotImplementedHere
from shared.providers.dialects import Endpoint

router = Router(tags=["Inference"], dependencies=[scope("inference")])
_INPUT = {"anyOf": [{"type": "string", "maxLength": LONGEST_PROMPT}, {"type": "array", "items": {"type": "object"}}]}
REFUSED = "Of the Responses API only POST /v1/responses is there, since nothing is stored: see docs/inference.md"
_BODY = body_of("input", _INPUT)


@router.post("/v1/responses", openapi_extra=_BODY, response_class=StreamingResponse)
async def create_response(request: Request, caller: CallerDep, held: UntilAnswered) -> StreamingResponse:
    """Ask a model by the Responses API, where its provider has it; `stream` works too, and nothing is stored.

    `store` is always false. Errors: 400 `reference_not_allowed` for what may lead to something stored at the provider's
    account, which projects may share, and for each field that is not known; 404 `endpoint_not_at_provider`.
    """
    return await answer(caller, held, await request.body(), endpoint=Endpoint.RESPONSES)


def refuse() -> None:
    raise NotImplementedHere(REFUSED)


router.add_api_route("/v1/responses/{rest:path}", refuse, methods=["GET", "POST", "DELETE"], include_in_schema=False)

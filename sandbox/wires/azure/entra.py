"""`/{tenant}/oauth2/v2.0/token`: an application's secret, which is the sandbox's key, is turned into tokens."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import JSONResponse, Response

from sandbox.wires.azure.engine import AzureDep
from wire_server.answers import answer

router = APIRouter()


def _refused(status: int, error: str, message: str) -> Response:
    return JSONResponse({"error": error, "error_description": message}, status_code=status)


@router.post("/{tenant}/oauth2/v2.0/token")
async def create_token(
    tenant: str,
    state: AzureDep,
    grant_type: Annotated[str, Form()],
    client_id: Annotated[str, Form()],
    client_secret: Annotated[str, Form()],
    scope: Annotated[str, Form()],
) -> Response:
    if tenant == "unknown":
        return _refused(400, "invalid_request", f"AADSTS90002: Tenant '{tenant}' not found.")
    if grant_type != "client_credentials" or not scope.endswith("/.default"):
        return _refused(400, "invalid_scope", f"AADSTS1002012: The provided value for scope {scope} is not valid.")
    if not hmac.compare_digest(client_secret.encode(), state.settings.api_key.encode()):
        message = f"AADSTS7000215: Invalid client secret provided for the app '{client_id}'."
        return _refused(401, "invalid_client", message)
    token = state.new_token(scope.removesuffix("/.default"))
    lifetime = int(state.token_seconds)
    return answer({"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token})

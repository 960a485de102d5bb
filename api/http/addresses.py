"""Brings the address and the key of a request into our own form, whatever a proxy or an Azure client made of them."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_SLASHES = re.compile("//+")
# Azure's clients call `/openai/v1/files`, or in their older form `/openai/files`.
_AZURE = re.compile(r"/openai(?:/v1)?(?=/)")
_DEPLOYMENT = re.compile(
    r"/openai/deployments/(?P<model>.+?)(?P<path>/(?:(?:chat/)?completions|files|uploads|fine_tuning|models)(?:/.*)?)"
)
_ENCODED_TWICE = re.compile("%(?P<code>3a|2f)", re.IGNORECASE)
_MODEL = "/v1/models/"
_DOCUMENTS = {"/docs", "/openapi.json"}  # those that contain addresses
DEPLOYMENT = "tunery.deployment"  # key of the model in a request's ASGI scope that an Azure client put into the path


class AddressMiddleware:
    """The outermost middleware but CORS, since the others and the router decide by the path and the `Authorization`.

    - Doubled slashes become one; a slash at the end is dropped; `root_path` is stripped where a proxy left it.
    - `/openai/v1/…`, `/openai/…` and `/openai/deployments/{model}/…` become `/v1/…`.
    - In ids of models, colons and slashes that were percent-encoded twice are decoded.
    - `api-key: …` becomes `Authorization: Bearer …`, unless the request has such a token.
    - The query parameter `api-version` is dropped where one of Azure's clients sends it.
    """

    def __init__(self, app: ASGIApp, root_path: str = "") -> None:
        self.app = app
        self.root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = self._without_prefix(_SLASHES.sub("/", scope["path"]))
            _rewrite(scope)
            if scope["path"] in _DOCUMENTS:
                scope["root_path"] = self.root_path
        await self.app(scope, receive, send)

    def _without_prefix(self, path: str) -> str:
        """Strip `root_path`: a proxy may pass `/tunery/v1/files` on as it is, or as `/v1/files`."""
        return path[len(self.root_path) :] or "/" if f"{path}/".startswith(f"{self.root_path}/") else path


def _rewrite(scope: Scope) -> None:
    path: str = scope["path"]
    is_azure = _use_api_key(scope) or _AZURE.match(path) is not None
    if found := _DEPLOYMENT.fullmatch(path.rstrip("/")):
        scope[DEPLOYMENT], path = found["model"], "/v1" + found["path"]
    else:
        path = _AZURE.sub("/v1", path, count=1) if _AZURE.match(path) else path
    if path.startswith(_MODEL):
        path = _ENCODED_TWICE.sub(lambda found: chr(int(found["code"], 16)), path)
    scope["path"] = path.rstrip("/") or "/"
    if is_azure and b"api-version" in scope["query_string"]:
        parameters = scope["query_string"].split(b"&")
        scope["query_string"] = b"&".join(each for each in parameters if each.partition(b"=")[0] != b"api-version")


def _use_api_key(scope: Scope) -> bool:
    """Turn the header `api-key` into a bearer token, unless the request has one. Returns whether it has the header.

    Another scheme in `Authorization`, such as `Basic`, is between the client and a proxy.
    """
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    key = next((value for name, value in headers if name == b"api-key"), None)
    if key is None:
        return False
    if not any(name == b"authorization" and value[:7].lower() == b"bearer " for name, value in headers):
        others = [each for each in headers if each[0] not in {b"api-key", b"authorization"}]
        scope["headers"] = [*others, (b"authorization", b"Bearer " + key)]
    return True

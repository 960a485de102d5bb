"""Answers 501, with an explanation, for endpoints of OpenAI's administration API that Tunery does not have."""

from api.auth.scopes import admin_scope
from api.http.router import Router
from shared.errors import NotImplementedHere

router = Router(dependencies=[admin_scope("projects")], include_in_schema=False)

OF_USAGE = (
    "audio_speeches",
    "audio_transcriptions",
    "code_interpreter_sessions",
    "decisions",
    "embeddings",
    "file_search_calls",
    "images",
    "moderations",
    "vector_stores",
    "web_search_calls",
)
OF_ORGANIZATION = (
    "certificates",
    "data_retention",
    "external_keys",
    "external_storage",
    "groups",
    "invites",
    "roles",
    "spend_alerts",
    "spend_limit",
    *(f"usage/{name}" for name in OF_USAGE),
    "users",
    "workload_identity_providers",
)
OF_PROJECT = (
    "certificates",
    "data_retention",
    "groups",
    "hosted_tool_permissions",
    "roles",
    "service_tier_settings",
    "users",
)
PATHS = (
    *(f"/v1/organization/{name}" for name in OF_ORGANIZATION),
    *(f"/v1/organization/projects/{{project_id}}/{name}" for name in OF_PROJECT),
    *(f"/v1/projects/{{project_id}}/{name}" for name in ("groups", "roles", "users")),
)


def refuse() -> None:
    raise NotImplementedHere("Tunery does not have this endpoint of OpenAI's API: see docs/administration.md")


for path in PATHS:
    for each in (path, path + "/{rest:path}"):
        router.add_api_route(each, refuse, methods=["GET", "POST", "DELETE"])

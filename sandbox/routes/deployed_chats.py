"""Chats at OpenAI's address, on the wires on which a tuned model must be deployed before it answers."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sandbox import deployments
from sandbox.state import SandboxDep
from wire_server.chat import ChatRequest
from wire_server.routes import chat
from wire_server.routes.bounded import BoundedRoute

router = APIRouter(prefix="/v1/chat/completions", route_class=BoundedRoute)


@router.post("")
async def create_chat_completion(request: ChatRequest, state: SandboxDep, connection: Request) -> Response:
    request.model = deployments.model_of(state, request.model)
    return await chat.create_chat_completion(request, state, connection)

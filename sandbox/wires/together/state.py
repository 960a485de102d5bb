"""The dependency of Together's routes, and `/sandbox/together`, where its switches are set."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from sandbox.wires.together.engine import Switches, TogetherSandbox
from wire_server.answers import answer
from wire_server.state import get_state

TogetherDep = Annotated[TogetherSandbox, Depends(get_state)]
router = APIRouter(prefix="/sandbox/together")


@router.post("")
async def set_switches(switches: Switches, state: TogetherDep) -> Response:
    """Sets those that are given, and the others as they are at first."""
    state.switches = switches
    return answer(switches.model_dump())

"""The host of the storage, whose addresses are signed; and the switches of the wire, under `/sandbox/`."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

from sandbox.wires.fireworks import datasets, jobs, models, shapes
from sandbox.wires.fireworks.access import EngineDep
from sandbox.wires.fireworks.engine import FireworksSandbox, Switches
from wire_server.answers import answer

router = APIRouter()
Signature = Annotated[str, Query(alias="X-Goog-Signature")]


@router.put("/storage/{what:path}")
async def put_object(what: str, request: Request, engine: EngineDep, signature: Signature, hop: int = 0) -> Response:
    """Takes exactly as many bytes as were announced."""
    if refused := _refusal(engine, what, request, signature, hop):
        return refused
    _, dataset, size = what.split("/")
    if request.headers.get("x-goog-content-length-range") != f"{size},{size}":
        return PlainTextResponse("SignatureDoesNotMatch: x-goog-content-length-range", 403)
    with engine.new_file() as path:
        with path.open("wb") as target:
            async for chunk in request.stream():
                target.write(chunk)
        if path.stat().st_size != int(size):
            path.unlink()
            return PlainTextResponse("EntityTooLarge", 400)
        stored = datasets.find(engine, dataset)
        if stored.file.status == datasets.PROCESSED:
            return PlainTextResponse("Forbidden", 403)
        await datasets.fill(engine, stored, path)
    return Response()


@router.get("/storage/{what:path}")
async def get_object(what: str, request: Request, engine: EngineDep, signature: Signature, hop: int = 0) -> Response:
    if refused := _refusal(engine, what, request, signature, hop):
        return refused
    place, _, id = what.partition("/")
    if place == "datasets":
        return FileResponse(datasets.find(engine, id).path, media_type="application/octet-stream")
    kind, _, job = id.partition("/")
    if place == "weights":
        return Response(models.weights_of(kind)[job], media_type="application/octet-stream")
    return PlainTextResponse(shapes.metrics_file(engine, jobs.find(engine, kind, job)))


def _refusal(engine: FireworksSandbox, what: str, request: Request, signature: str, hop: int) -> Response | None:
    """For a request with a key, which the storage must never see, or without the right signature; or a redirect."""
    if "authorization" in request.headers:
        return PlainTextResponse("InvalidArgument: more than one way to authenticate", 400)
    if not hmac.compare_digest(signature, engine.signature(what)):
        return PlainTextResponse("SignatureDoesNotMatch", 403)
    if hop < engine.switches.redirects:
        return RedirectResponse(f"{request.url.include_query_params(hop=hop + 1)}", 307)
    return None


@router.post("/sandbox/fireworks")
async def set_switches(switches: Switches, engine: EngineDep) -> Response:
    """Sets all switches; one that is not named is as at the start."""
    engine.switches = switches
    return answer(switches.model_dump())

"""`/v1/finetune/download`: the adapter that a job has trained, sent at once or by the storage at a signed address."""

import hmac
from hashlib import sha256

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from sandbox.wires.together.engine import TogetherSandbox, body_of
from sandbox.wires.together.jobs import find
from sandbox.wires.together.state import TogetherDep
from wire_server.errors import ApiError

router = APIRouter()


def adapter_of(job_id: str) -> bytes:
    """The same bytes each time, which are no archive."""
    return f"The adapter of {job_id}.\n".encode() * 5000


@router.get("/v1/finetune/download")
async def download(ft_id: str, request: Request, state: TogetherDep, checkpoint: str = "") -> Response:
    run = find(state, ft_id)
    trained = body_of(run).get("training_type") or {}
    if run.job.status != "succeeded":
        raise ApiError(400, f"The job {ft_id} has no model yet.")
    if checkpoint != "adapter" or trained.get("type") == "Full":
        raise ApiError(400, f"There is no {checkpoint or 'checkpoint'} of {ft_id} to download.", param="checkpoint")
    if not state.switches.signs_weights:
        return _file(ft_id)
    origin = state.switches.storage or f"{request.url.scheme}://{request.url.netloc}"
    return RedirectResponse(f"{origin}/storage/weights/{ft_id}?signature={_signature(state, ft_id)}", 302)


@router.get("/storage/weights/{ft_id}")
async def send(ft_id: str, request: Request, state: TogetherDep, signature: str = "") -> Response:
    if "authorization" in request.headers:
        raise ApiError(400, "A signed request must not carry a key.")
    if not hmac.compare_digest(signature, _signature(state, ft_id)):
        return Response("<Error><Code>SignatureDoesNotMatch</Code></Error>", 403, media_type="application/xml")
    return _file(ft_id)


def _file(ft_id: str) -> Response:
    return Response(adapter_of(ft_id), media_type="application/octet-stream")


def _signature(state: TogetherSandbox, ft_id: str) -> str:
    return hmac.new(state.settings.api_key.encode(), ft_id.encode(), sha256).hexdigest()

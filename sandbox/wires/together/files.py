"""`/v1/files`: announces files, examines, lists and deletes them; `/storage` is the host that takes their content."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from sandbox.records import StoredFile
from sandbox.wires.together.engine import Examination, Place, TogetherSandbox
from sandbox.wires.together.state import TogetherDep
from wire_server.answers import answer
from wire_server.errors import ApiError
from wire_server.records import FileObject
from wire_server.routes import files
from wire_server.routes.forms import read_form, text_of

MAX_FORM_BYTES = 64 << 10
FIELDS = ("purpose", "file_name", "file_type", "checksum")

router = APIRouter(prefix="/v1/files")
storage = APIRouter(prefix="/storage")


@router.post("")
async def announce_file(request: Request, state: TogetherDep) -> Response:
    """302 with the place for its content; 409 with the file that has it already."""
    form = await read_form(request, MAX_FORM_BYTES)
    given = {name: text_of(form, name) for name in FIELDS}
    if missing := [name for name, value in given.items() if not value]:
        raise ApiError(400, f"Missing field: {missing[0]}.", param=missing[0])
    if given["file_type"] not in {"jsonl", "parquet", "csv"}:
        raise ApiError(400, f"Unknown file type: {given['file_type']}.", param="file_type")
    if existing := state.same_content(str(given["checksum"])):
        return answer({"error": {"message": "This file exists already."}, "file_id": existing}, 409)
    place = state.place_for(str(given["file_name"]), str(given["purpose"]), str(given["checksum"]))
    origin = state.switches.storage or f"{request.url.scheme}://{request.url.netloc}"
    return Response(status_code=302, headers={"location": _url(origin, place), "x-together-file-id": place.id})


def _url(origin: str, place: Place) -> str:
    return f"{origin}/storage/{place.id}?signature={place.token}"


@storage.put("/{file_id}")
async def receive(file_id: str, request: Request, state: TogetherDep, signature: str = "") -> Response:
    """Takes the content, after some redirects. A key that is sent along has come to somebody who must not have it."""
    if "authorization" in request.headers:
        raise ApiError(400, "A signed request must not carry a key.")
    place = state.places.get(file_id)
    if place is None or place.token != signature:
        return Response("<Error><Code>SignatureDoesNotMatch</Code></Error>", 403, media_type="application/xml")
    with state.new_file() as path:
        with path.open("wb") as target:
            async for chunk in request.stream():
                target.write(chunk)
        if place.redirects:
            place.redirects -= 1
            path.unlink()
            return Response(status_code=307, headers={"location": str(request.url)})
        if state.switches.storage_status != 200:
            path.unlink()
            return Response(status_code=state.switches.storage_status)
        contents = await run_in_threadpool(state.read_training_file, path)
    file = FileObject(
        id=place.id,
        bytes=path.stat().st_size,
        created_at=place.created_at,
        filename=place.filename,
        purpose=place.purpose,
        status="uploaded",
    )
    del state.places[place.id]
    state.files[file.id] = StoredFile(file=file, path=path, contents=contents)
    return Response()


@router.post("/{file_id}/preprocess")
async def examine_file(file_id: str, state: TogetherDep) -> Response:
    stored = files.find(state, file_id)
    if file_id not in state.examinations:
        switches = state.switches
        state.examinations[file_id] = Examination(state.now() + switches.examination, switches.complaint)
    return answer(shown(state, stored.file.id))


@router.get("")
async def list_files(state: TogetherDep) -> Response:
    """All of them, newest first. What is `fine-tune-results` in the engine does not exist here."""
    ids = [id for id, stored in state.files.items() if stored.file.purpose != "fine-tune-results"]
    ids += [place.id for place in state.places.values()]
    return answer({"data": [shown(state, id) for id in (ids if state.switches.oldest_first else ids[::-1])]})


@router.get("/{file_id}")
async def retrieve_file(file_id: str, state: TogetherDep) -> Response:
    return answer(shown(state, file_id))


@router.delete("/{file_id}")
async def delete_file(file_id: str, state: TogetherDep) -> Response:
    if state.places.pop(file_id, None) is None:
        state.remove_file(files.find(state, file_id))
        state.examinations.pop(file_id, None)
    return answer({"id": file_id, "deleted": True})


@router.get("/{file_id}/content")
async def download_file(file_id: str, state: TogetherDep) -> Response:
    stored = files.find(state, file_id)
    return FileResponse(stored.path, media_type="application/octet-stream", filename=stored.file.filename)


def shown(state: TogetherSandbox, file_id: str) -> dict[str, Any]:
    if place := state.places.get(file_id):
        about = {"bytes": 0, "created_at": place.created_at, "filename": place.filename, "purpose": place.purpose}
        return {"id": file_id, "object": "file", "FileType": "jsonl", "processing_status": "PENDING", **about}
    file = files.find(state, file_id).file
    status, report = examined(state, file_id)
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_at,
        "filename": file.filename,
        "FileType": "jsonl",
        "purpose": file.purpose,
        "processing_status": status,
        **({"validation_report": report} if report else {}),
    }


def examined(state: TogetherSandbox, file_id: str) -> tuple[str, dict[str, Any] | None]:
    """The status of the examination, and its report."""
    examination, contents = state.examinations.get(file_id), files.find(state, file_id).contents
    if examination is None:
        return "PENDING", None
    if examination.ends_at > state.now():
        return "QUEUED", None
    found = {"file_id": file_id, "nlines": contents.n_examples if contents else 0, "dataset_format": "CONVERSATION"}
    problem = examination.complaint or (contents.problem if contents else None)
    if problem:
        return "INVALID_FORMAT", {**found, "valid": False, "error": problem, "error_type": "INVALID_FORMAT"}
    return "COMPLETED", {**found, "valid": True}

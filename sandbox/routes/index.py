"""`/`: a page that explains the sandbox to people who open it in a browser."""

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from sandbox.state import SandboxDep

router = APIRouter()

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Tunery's sandbox</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }}</style>
<h1>A small OpenAI, to try and to test against</h1>
<p><strong>It remembers, and it does not learn.</strong> A job that runs here trains nothing: its curve is drawn, its
tuned model answers with the reply of the nearest training example, and all is forgotten when the process ends.</p>
<p>Point the official SDK at it: <code>OPENAI_BASE_URL=http://…/v1</code>. It speaks files, uploads, fine-tuning jobs,
models and chat completions. Tests arm faults at <code>/sandbox/faults</code>.</p>
<p>Speed {speed:g} · {files} files · {jobs} jobs · {models} tuned models and checkpoints</p>
</html>
"""


@router.get("/")
async def index(state: SandboxDep) -> HTMLResponse:
    page = PAGE.format(
        speed=state.settings.speed, files=len(state.files), jobs=len(state.runs), models=len(state.tuned)
    )
    return HTMLResponse(page)

"""A few requests that schemathesis makes of our document; `benchmarks/schemathesis_run.py` makes thousands."""

import httpx2

from benchmarks.schemathesis_run import run
from shared.database import transaction
from shared.projects import service as projects
from tests.world import Person, Sandbox

NEEDS_WORKER = "/v1/organization/projects/{project_id}/credentials/{credential_id}/test"  # none runs here: 503


def test_what_the_document_says_is_what_is_answered(alice: Person, sandbox: Sandbox) -> None:
    with transaction() as session:
        admin_key = projects.create_api_key(session, None, "schemathesis")[1]
    keys = {"TUNERY_KEY": alice.api_key, "TUNERY_ADMIN_KEY": admin_key}
    document = alice.base_url.removesuffix("/v1") + "/openapi.json"
    httpx2.get(document, timeout=120).raise_for_status()  # making it takes long; schemathesis waits 10 s for it
    options = (
        "--phases",
        "fuzzing",
        "--max-examples",
        "2",
        "--seed",
        "1",
        "--no-shrink",
        "--exclude-path",
        NEEDS_WORKER,
    )
    done = run(document, keys, *options)
    assert "Tested: " in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout[-10_000:]

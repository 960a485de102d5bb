"""Jobs are created once for each form: a form that is sent twice, as by a double click, leads to the same job.

The answers to repeated requests without an `Idempotency-Key` hold which job a form has made, for ten minutes.
"""

import json
import secrets
from collections.abc import Callable
from hashlib import sha256

from api.dashboard.view import View
from shared import idempotency as answers
from shared.idempotency import StoredAnswer
from shared.jobs.models import Job
from shared.security.secrets import seal, unseal


def new_form_id() -> str:
    """Return a new value for the field `form_id` of a form."""
    return secrets.token_urlsafe(16)


def job_of_form(view: View, form_id: str, content: object, create: Callable[[], Job]) -> str:
    """Return the id of the job that this form has created already, or else of the job that `create` makes.

    `content` is what is in the form: a form that was changed before it is sent again is another one. Waits for the
    other request with this form, if there is one. Without a `form_id` it always creates a job.
    """
    if not form_id:
        return create().id
    digest = sha256(json.dumps([view.request.url.path, form_id, content], sort_keys=True).encode()).hexdigest()
    id = answers.repeated_answer_id(view.caller.key_id, digest)
    if found := answers.find_repeated_or_reserve(view.session, id, digest, retry_count=1):
        return unseal(found.sealed_body, id)
    job_id = create().id
    answer = StoredAnswer(
        id=id, request_sha256=digest, status=303, content_type="text/plain", sealed_body=seal(job_id, id)
    )
    with view.session.no_autoflush:  # the audit entries lock their chain until the commit, so they come last
        answers.replace(view.session, answer)
    return job_id

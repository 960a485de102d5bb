"""What a form makes is made once: a form that is sent twice, as by a double click or a reload, makes no second one.

It leads to what was made: the answers to repeated requests without an `Idempotency-Key` hold what that is, for ten
minutes. A form whose answer shows a secret is refused, as long as an `Idempotency-Key` is kept.
"""

import json
import secrets
from collections.abc import Callable
from hashlib import sha256

from sqlmodel import Session

from api.dashboard.forms import Form
from api.dashboard.rendering import environment
from api.dashboard.view import AnyView
from shared import idempotency as answers
from shared.errors import Invalid
from shared.idempotency import StoredAnswer
from shared.security.secrets import seal, unseal


def new_form_id() -> str:
    """Return a new value for the field `form_id` of a form."""
    return secrets.token_urlsafe(16)


environment.globals["new_form_id"] = new_form_id


def made_by_form(view: AnyView, key_id: str, form_id: str, content: object, create: Callable[[], str]) -> str:
    """Return the id of what this form has made already, or else of what `create` makes.

    `content` is what is in the form: a form that was changed before it is sent again is another one. Waits for the
    other request with this form, if there is one. Without a `form_id` it always makes something.
    """
    if not form_id:
        return create()
    digest = sha256(json.dumps([view.request.url.path, form_id, content], sort_keys=True).encode()).hexdigest()
    id = answers.repeated_answer_id(key_id, digest)
    if found := answers.find_repeated_or_reserve(view.session, id, digest, retry_count=1):
        return unseal(found.sealed_body, id)
    made = create()
    answer = StoredAnswer(
        id=id, request_sha256=digest, status=303, content_type="text/plain", sealed_body=seal(made, id)
    )
    with view.session.no_autoflush:  # the audit entries lock their chain until the commit, so they come last
        answers.replace(view.session, answer)
    return made


def made_by_typed(view: AnyView, key_id: str, form: Form, create: Callable[[], str]) -> str:
    """Return the id of what this form has made already, or else of what `create` makes of what was typed."""
    return made_by_form(view, key_id, form.text("form_id"), dict(form.values), create)


def check_not_made(session: Session, key_id: str, form: Form) -> None:
    """Note that this form makes something now. Raises `Invalid` if it has already: its secret was shown then."""
    form_id = form.text("form_id")
    if not form_id:
        return
    id = answers.answer_id(key_id, f"form {form_id}")
    if answers.find_or_reserve(session, id):
        raise Invalid("This form has been sent already, and made what it says: its secret is not shown again")
    digest = sha256(form_id.encode()).hexdigest()
    answers.store(
        session,
        StoredAnswer(id=id, request_sha256=digest, status=303, content_type="text/plain", sealed_body=seal("", id)),
    )

"""The accounts at providers that work for a project: its own, or the deployment's."""

from dataclasses import dataclass, field

from sqlalchemy import and_
from sqlmodel import Session, col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from shared.db.claims import make_due, release
from shared.db.times import utc_now
from shared.errors import Invalid, NotFound
from shared.projects import service as projects
from shared.projects.credential_schemas import CredentialCreate, CredentialUpdate
from shared.projects.models import Credential
from shared.providers.dialects import ADDRESSING, Dialect
from shared.security.secrets import seal, unseal
from shared.security.ssrf import check_url
from shared.settings import get_settings

SHOWN = 4  # letters of a key, if it has so many more that these do not matter


@dataclass(frozen=True)
class Account:
    """What it takes to speak to a provider. Two of them are equal if the same client can serve both.

    `credential_id` and `project_id` are None for the deployment's own, whose key the settings hold.
    """

    credential_id: str | None
    project_id: str | None
    base_url: str
    dialect: Dialect
    key_version: int
    sealed_key: str | None = field(compare=False, repr=False)

    @classmethod
    def of(cls, row: Credential) -> "Account":
        if row.project_id is None:
            return cls(None, None, row.base_url, get_settings().provider.dialect, 0, None)
        return cls(row.id, row.project_id, row.base_url, row.dialect, row.key_version, row.sealed_api_key)

    def api_key(self) -> str:
        """Raises `NoKeyFits` if no configured key opens it, and `LookupError` if there is none."""
        if self.credential_id is None:
            return get_settings().provider.api_key.get_secret_value()
        if self.sealed_key is None:
            raise LookupError("the credential has no key any more: give it a new one")
        return unseal(self.sealed_key, _place(self.project_id, self.credential_id, "api_key"))

    def headers(self) -> dict[str, str]:
        """The headers that sign a request to the provider. Raises as `api_key` does."""
        return ADDRESSING[self.dialect].headers(self.api_key())

    def chat_url(self) -> str:
        return f"{self.base_url}{ADDRESSING[self.dialect].chat_path}"


def webhook_secret(credential: Credential) -> str | None:
    """What the provider signs its own webhooks to us with; None if nobody has said it."""
    if credential.project_id is None:
        provider = get_settings().provider
        secret = provider.webhook_secret if credential.base_url == provider.base_url else None
        return secret.get_secret_value() if secret is not None else None
    if credential.sealed_webhook_secret is None or credential.deleted_at is not None:
        return None
    return unseal(credential.sealed_webhook_secret, sealed_places(credential)["sealed_webhook_secret"])


def sealed_places(credential: Credential) -> dict[str, str]:
    """Each column with a sealed secret, and what it is sealed for."""
    places = {"sealed_api_key": "api_key", "sealed_webhook_secret": "webhook_secret"}
    return {column: _place(credential.project_id, credential.id, what) for column, what in places.items()}


def _place(project_id: str | None, credential_id: str, what: str) -> str:
    return f"{project_id}/{credential_id}/{what}"


def create(session: Session, project_id: str, new: CredentialCreate) -> Credential:
    """An account for the project's new jobs. What runs goes on where it is."""
    projects.get_active_project(session, project_id)
    credential = Credential(
        project_id=project_id,
        name=new.name,
        provider=new.provider or new.dialect,
        base_url=_checked(new.base_url),
        dialect=new.dialect,
    )
    _set_key(credential, new.api_key.get_secret_value())
    if new.webhook_secret is not None:
        _set_webhook_secret(credential, new.webhook_secret.get_secret_value())
    make_due(session, credential)
    return credential


def update(session: Session, project_id: str, credential_id: str, new: CredentialUpdate) -> Credential:
    """Change what is named. A new key counts from the next call on, in every process, also for jobs that run."""
    projects.get_active_project(session, project_id)
    credential = get(session, project_id, credential_id, lock=True)
    if new.name is not None:
        credential.name = new.name
    if new.api_key is not None:
        _set_key(credential, new.api_key.get_secret_value())
        make_due(session, credential, even_if_backing_off=True)
    if "webhook_secret" in new.model_fields_set:
        _set_webhook_secret(credential, new.webhook_secret.get_secret_value() if new.webhook_secret else None)
    credential.updated_at = utc_now()
    return credential


def _set_key(credential: Credential, key: str) -> None:
    credential.sealed_api_key = seal(key, sealed_places(credential)["sealed_api_key"])
    credential.key_hint = f"…{key[-SHOWN:]}" if len(key) >= 4 * SHOWN else "…"
    credential.key_version += 1


def _set_webhook_secret(credential: Credential, secret: str | None) -> None:
    place = sealed_places(credential)["sealed_webhook_secret"]
    credential.sealed_webhook_secret = seal(secret, place) if secret is not None else None


def _checked(base_url: str) -> str:
    """An address to which `/models` and the like can be added, and that may be dialled as far as can be seen now."""
    try:
        check_url(base_url)
    except Invalid as error:
        raise Invalid(error.message, param="base_url") from None
    if "?" in base_url or "#" in base_url:
        raise Invalid("The address must end with a path, as in https://api.openai.com/v1", param="base_url")
    return base_url.rstrip("/")


def get(session: Session, project_id: str, credential_id: str, *, lock: bool = False) -> Credential:
    """One of the project's own. `lock` keeps new jobs of the account waiting until the transaction ends."""
    query = _own(project_id).where(Credential.id == credential_id)
    credential = session.exec(query.with_for_update() if lock else query).one_or_none()
    if credential is None:
        raise NotFound(f"No such credential: {credential_id}", param="credential_id")
    return credential


def list_all(session: Session, project_id: str, *, after: str | None, limit: int) -> list[Credential]:
    """One more than `limit`, newest first."""
    projects.get_project(session, project_id)
    query = _own(project_id)
    if after is not None:
        named = select(Credential.id).where(Credential.id == after, Credential.project_id == project_id)
        if session.exec(named).one_or_none() is None:
            raise NotFound(f"No such credential: {after}", param="after")
        query = query.where(Credential.id < after)
    return list(session.exec(query.order_by(col(Credential.id).desc()).limit(limit + 1)))


def working_for(session: Session, project_id: str) -> list[Credential]:
    """The project's own, newest first; if it has none, the deployment's."""
    settings_name_it = and_(
        col(Credential.project_id).is_(None), col(Credential.base_url) == get_settings().provider.base_url
    )
    query = select(Credential).where(
        col(Credential.deleted_at).is_(None), or_(Credential.project_id == project_id, settings_name_it)
    )
    found = list(session.exec(query.order_by(col(Credential.id).desc())))
    return [row for row in found if row.project_id] or found or [projects.default_credential(session)]


def _own(project_id: str) -> SelectOfScalar[Credential]:
    return select(Credential).where(Credential.project_id == project_id, col(Credential.deleted_at).is_(None))


def hold(session: Session, credential: Credential) -> bool:
    """Keep an account from being deleted until the transaction ends; whether it was still there. The deployment's own
    cannot be deleted."""
    if credential.project_id is None:
        return True
    there = select(Credential.id).where(Credential.id == credential.id, col(Credential.deleted_at).is_(None))
    return session.exec(there.with_for_update(read=True, key_share=True)).one_or_none() is not None


def forget(credential: Credential) -> None:
    """Delete one that no job needs: its secrets are gone at once, the row stays for history's sake."""
    credential.deleted_at = credential.updated_at = utc_now()
    credential.sealed_api_key = credential.sealed_webhook_secret = None
    release(credential, None)

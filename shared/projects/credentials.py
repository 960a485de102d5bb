"""Creates, changes and finds credentials: the accounts at providers, a project's own or the deployment's."""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from sqlalchemy import and_
from sqlmodel import Session, col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from shared.db.claims import make_due
from shared.db.quotas import count_up_to, one_at_a_time
from shared.db.times import utc_now
from shared.errors import Invalid, NotFound, QuotaExceeded
from shared.projects import service as projects
from shared.projects.credential_schemas import CredentialCreate, CredentialUpdate
from shared.projects.models import Credential, Project
from shared.projects.quotas import quotas_in_force
from shared.providers.account_settings import problem_of
from shared.providers.capabilities import CAPABILITIES, Capabilities
from shared.providers.dialects import ADDRESSING, Dialect, Endpoint, bearer
from shared.providers.entra import TOKENS, Application
from shared.security.secrets import seal, unseal
from shared.security.ssrf import check_url
from shared.settings import get_settings

HINT_LENGTH = 4  # characters of a key that are shown, if it has at least four times as many


@dataclass(frozen=True)
class Account:
    """How to reach and authenticate at a provider. Two equal accounts can share an HTTP client.

    `credential_id` and `project_id` are None for the deployment's account, whose key is in the settings.
    With the options of an `application` the key is its secret, and tokens sign the requests.
    """

    credential_id: str | None
    project_id: str | None
    base_url: str
    dialect: Dialect
    key_version: int
    sealed_key: str | None = field(compare=False, repr=False)
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, row: Credential) -> "Account":
        provider = get_settings().provider
        if row.project_id is None:
            return cls(None, None, row.base_url, provider.dialect, 0, None, tuple(provider.options.items()))
        options, key = tuple(row.options.items()), row.sealed_api_key
        return cls(row.id, row.project_id, row.base_url, row.dialect, row.key_version, key, options)

    @property
    def application(self) -> Application | None:
        return Application(**dict(self.options)) if self.options else None

    @property
    def owner_of_tokens(self) -> Hashable:
        return self.credential_id, self.key_version, self.options

    def api_key(self) -> str:
        """Raises `CannotUnseal` if no configured key opens it, and `LookupError` if the credential has none."""
        if self.credential_id is None:
            return get_settings().provider.api_key.get_secret_value()
        if self.sealed_key is None:
            raise LookupError("the credential no longer has a key: give it a new one")
        return unseal(self.sealed_key, _seal_context(self.project_id, self.credential_id, "api_key"))

    def headers(self, secret: str) -> dict[str, str]:
        """The headers that sign a request to the provider: with its key, or with a token of its application."""
        return bearer(secret) if self.options else ADDRESSING[self.dialect].headers(secret)

    def tokens(self) -> list[str]:
        """Those of its application that this process keeps."""
        return TOKENS.all_of(self.owner_of_tokens) if self.options else []

    def url_of(self, endpoint: Endpoint) -> str:
        return ADDRESSING[self.dialect].url_of(endpoint, self.base_url)

    def shares_private(self, model: str) -> bool:
        """Whether the name may lead to a model inside of an account that several projects share."""
        return self.project_id is None and ADDRESSING[self.dialect].is_private(self.base_url, model)


def capabilities_of(credential: Credential) -> Capabilities:
    """Return what this account can do: what its kind of provider can, and deploy if it has an application."""
    account = Account.of(credential)
    able = CAPABILITIES[account.dialect]
    return able if account.application is None else replace(able, needs_deployment=True)


def seal_contexts(credential: Credential) -> dict[str, str]:
    """Return the seal context of each column that holds a sealed secret."""
    secrets = {"sealed_api_key": "api_key", "sealed_webhook_secret": "webhook_secret"}
    return {column: _seal_context(credential.project_id, credential.id, name) for column, name in secrets.items()}


def _seal_context(project_id: str | None, credential_id: str, name: str) -> str:
    return f"{project_id}/{credential_id}/{name}"


def create(session: Session, project_id: str, new: CredentialCreate) -> Credential:
    """Add an account, which the project's new jobs use; jobs at a provider stay there.

    Raises `Invalid`, `NotFound` and `QuotaExceeded`.
    """
    projects.get_active_project(session, project_id)
    _check_quota(session, project_id)
    credential = Credential(
        project_id=project_id,
        name=new.name,
        provider=new.provider or new.dialect,
        base_url=_checked(new.base_url or ADDRESSING[new.dialect].address),
        dialect=new.dialect,
        options=_options(new.dialect, new.options),
        deploy_on_success=new.deploy_on_success,
    )
    _set_key(credential, new.api_key.get_secret_value())
    if new.webhook_secret is not None:
        _set_webhook_secret(credential, new.webhook_secret.get_secret_value())
    make_due(session, credential)
    return credential


def _check_quota(session: Session, project_id: str) -> None:
    limit = quotas_in_force(session, project_id).credentials
    if limit is not None:
        one_at_a_time(session, "credentials", project_id)
        if (used := count_up_to(session, ids_of(project_id), limit)) >= limit:
            raise QuotaExceeded("credentials", used, limit, "delete accounts that are no longer needed")


def update(session: Session, project_id: str, credential_id: str, new: CredentialUpdate) -> Credential:
    """Change the given fields. A new key is used from the next call on, in every process, also for running jobs."""
    projects.get_active_project(session, project_id)
    credential = get(session, project_id, credential_id, lock=True)
    if new.name is not None:
        credential.name = new.name
    if new.options is not None:
        credential.options = _options(credential.dialect, new.options)
    if new.deploy_on_success is not None:
        credential.deploy_on_success = new.deploy_on_success
    if new.api_key is not None:
        _set_key(credential, new.api_key.get_secret_value())
        make_due(session, credential, even_if_backing_off=True)
    if "webhook_secret" in new.model_fields_set:
        _set_webhook_secret(credential, new.webhook_secret.get_secret_value() if new.webhook_secret else None)
    credential.updated_at = utc_now()
    return credential


def _set_key(credential: Credential, key: str) -> None:
    credential.sealed_api_key = seal(key, seal_contexts(credential)["sealed_api_key"])
    credential.key_hint = f"…{key[-HINT_LENGTH:]}" if len(key) >= 4 * HINT_LENGTH else "…"
    credential.key_version += 1


def _set_webhook_secret(credential: Credential, secret: str | None) -> None:
    context = seal_contexts(credential)["sealed_webhook_secret"]
    credential.sealed_webhook_secret = seal(secret, context) if secret is not None else None


def _options(dialect: Dialect, given: dict[str, str]) -> dict[str, str]:
    if (problem := problem_of(dialect, given)) is not None:
        raise Invalid(f"options: {' '.join(problem)}", param="options")
    return given


def _checked(base_url: str | None) -> str:
    """Return the URL without a trailing slash. Raises `Invalid` if it may not be called or has a query.

    Only what the URL itself says is checked here; the address that its name resolves to is checked at each call.
    """
    if base_url is None:
        raise Invalid("base_url is missing: accounts of this dialect have no address in common", param="base_url")
    try:
        check_url(base_url)
    except Invalid as error:
        raise Invalid(error.message, param="base_url") from None
    if "?" in base_url or "#" in base_url:
        raise Invalid("The URL must have no query or fragment, as in https://api.openai.com/v1", param="base_url")
    return base_url.rstrip("/")


def get(session: Session, project_id: str, credential_id: str, *, lock: bool = False) -> Credential:
    """Return one of the project's own. With `lock`, new jobs of the account wait until the transaction ends.

    Raises `NotFound`.
    """
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


def usable_by(session: Session, project_id: str, provider: str | None = None) -> list[Credential]:
    """Return the project's own credentials, newest first after those at its default provider; else the deployment's.

    With `provider`, only those of this provider; raises `Invalid` if there is none.
    """
    accounts = _usable_by(session, project_id)
    found = [each for each in accounts if provider in (None, each.provider)]
    if not found:
        known = ", ".join(sorted({each.provider for each in accounts}))
        raise Invalid(f"provider: the project has no account at {provider}, only at {known}", param="provider")
    return found


def _usable_by(session: Session, project_id: str) -> list[Credential]:
    is_default = and_(
        col(Credential.project_id).is_(None), col(Credential.base_url) == get_settings().provider.base_url
    )
    query = select(Credential).where(
        col(Credential.deleted_at).is_(None), or_(Credential.project_id == project_id, is_default)
    )
    default = select(Project.default_provider).where(Project.id == project_id).scalar_subquery()
    is_first = col(Credential.provider).is_not_distinct_from(default)
    found = list(session.exec(query.order_by(is_first.desc(), col(Credential.id).desc())))
    return [row for row in found if row.project_id] or found or [projects.default_credential(session)]


def ids_of(project_id: str) -> SelectOfScalar[str]:
    """Return a query for the ids of the project's own accounts."""
    return select(Credential.id).where(Credential.project_id == project_id, col(Credential.deleted_at).is_(None))


def _own(project_id: str) -> SelectOfScalar[Credential]:
    return select(Credential).where(Credential.project_id == project_id, col(Credential.deleted_at).is_(None))


def hold(session: Session, credential: Credential) -> bool:
    """Lock an account against deletion until the transaction ends. Returns False if it has been deleted already."""
    if credential.project_id is None:
        return True
    there = select(Credential.id).where(Credential.id == credential.id, col(Credential.deleted_at).is_(None))
    return session.exec(there.with_for_update(read=True, key_share=True)).one_or_none() is not None

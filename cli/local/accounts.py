"""The accounts that the first project has when more than one provider runs beside it, as with `up --trainer`."""

from collections.abc import Sequence
from typing import Any, TypedDict

from pydantic import SecretStr
from sqlmodel import Session, col, select

from shared.db.claims import make_due
from shared.projects import credentials
from shared.projects.credential_schemas import CredentialCreate, CredentialUpdate
from shared.projects.models import Credential
from shared.providers.dialects import Dialect
from shared.security.secrets import CannotUnseal


class LocalAccount(TypedDict):
    name: str
    base_url: str
    api_key: str
    dialect: str


def keep_accounts(session: Session, kept: dict[str, Any], accounts: Sequence[LocalAccount]) -> None:
    """Makes each once, where there are several, and lets it follow its provider to another port or key.

    The last one is the newest, which is asked for models that none of them lists.
    """
    known: dict[str, str] = kept.setdefault("accounts", {})
    for account in accounts:
        name = account["name"]
        row = _find(session, kept["project_id"], known.get(name))
        if row is not None:
            _follow(session, row, account)
        elif row is None and (len(accounts) > 1 or name in known):
            new = CredentialCreate(
                name=name,
                base_url=account["base_url"],
                api_key=SecretStr(account["api_key"]),
                provider=name,
                dialect=Dialect(account["dialect"]),
            )
            known[name] = credentials.create(session, kept["project_id"], new).id
    if not known:
        del kept["accounts"]


def _follow(session: Session, row: Credential, account: LocalAccount) -> None:
    """The provider has another port, or another key since somebody removed the file that held it."""
    if row.base_url != account["base_url"]:
        row.base_url = account["base_url"]
        make_due(session, row)
    if _key_of(row) != account["api_key"]:
        assert row.project_id is not None
        new = CredentialUpdate(api_key=SecretStr(account["api_key"]))
        credentials.update(session, row.project_id, row.id, new)


def _key_of(row: Credential) -> str | None:
    """None for a key that cannot be read any more."""
    try:
        return credentials.Account.of(row).api_key()
    except (CannotUnseal, LookupError):
        return None


def _find(session: Session, project_id: str, credential_id: str | None) -> Credential | None:
    """None also for one that somebody has deleted."""
    query = select(Credential).where(Credential.id == credential_id, Credential.project_id == project_id)
    return session.exec(query.where(col(Credential.deleted_at).is_(None))).one_or_none()

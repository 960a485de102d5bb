"""Lists and deletes a project's models, and finds the account for training or calling one of them."""

import re
from collections.abc import Collection, Sequence
from typing import Any

from sqlmodel import Session, col, select

from shared.datasets.validation.rules.limits import first_base, rules
from shared.db.claims import make_due
from shared.db.times import epoch, utc_now
from shared.errors import Forbidden, Invalid, NotFound
from shared.jobs import waiting
from shared.jobs.models import Checkpoint, Job, TunedModel
from shared.jobs.names import readings
from shared.jobs.names.schemas import ModelPublic
from shared.projects import credentials
from shared.projects.credentials import Account
from shared.projects.model_permissions import ModelRule
from shared.projects.models import Credential

_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def get_model(session: Session, project_id: str, name: str) -> ModelPublic:
    base = _find_base(session, project_id, name)
    if base is not None:
        return ModelPublic(**base[1], providers=providers_of(credentials.usable_by(session, project_id)).get(name, []))
    tuned = _find_own(session, project_id, name)
    model = _public(session, tuned) if tuned is not None else _own_checkpoint(session, project_id, name)
    if model is None:
        raise not_found(name)
    return model


def _own_checkpoint(session: Session, project_id: str, name: str) -> ModelPublic | None:
    """A checkpoint that can be used as a model; it stops with the base model of its job."""
    credential = _account_of_own(session, project_id, name)
    query = select(Checkpoint).where(Checkpoint.project_id == project_id, Checkpoint.model == name)
    row = session.exec(query.where(col(Checkpoint.expired_at).is_(None))).first() if credential else None
    if credential is None or row is None:
        return None
    date = stated_end(base_of(session, project_id, name), credential.base_models)
    made_at, providers = epoch(row.created_at), [credential.provider]
    return ModelPublic(id=name, created=made_at, owned_by=project_id, shutdown_date=date, providers=providers)


def providers_of(accounts: Sequence[Credential]) -> dict[str, list[str]]:
    """The providers of these accounts, in their order and each once, by the name of a base that they offer."""
    found: dict[str, list[str]] = {}
    for account in accounts:
        for base in account.base_models:
            names = found.setdefault(base["id"], [])
            if account.provider not in names:
                names.append(account.provider)
    return found


def _public(session: Session, model: TunedModel) -> ModelPublic:
    account = session.get_one(Credential, model.credential_id)
    return ModelPublic.of(model, stated_end(model.base_model, account.base_models), account.provider)


def is_base(session: Session, project_id: str, name: str) -> bool:
    return _find_base(session, project_id, name) is not None


def _find_base(
    session: Session, project_id: str, name: str, provider: str | None = None
) -> tuple[Credential, dict[str, Any]] | None:
    """A base model, and the newest of the project's accounts (at this provider) that has it.

    A provider may list what jobs have made among its models. Those are no base models.
    """
    for credential in credentials.usable_by(session, project_id, provider):
        for base in credential.base_models:
            if base["id"] == name:
                return None if readings.made_by_a_job(session, project_id, [name]) else (credential, base)
    return None


def delete_model(session: Session, project_id: str, name: str) -> None:
    """Hide a tuned model from now on; its next step deletes it at the provider. Raises `NotFound`, `Forbidden`.

    Raises `Invalid` (`model_in_use`) if a job is to tune it further that the provider has yet to take up.
    """
    if is_base(session, project_id, name):
        raise Forbidden(f"{name} is a base model: only what your own jobs have made can be deleted", param="model")
    model = _own(session, project_id, name, lock=True)
    job_id = waiting.first_that_needs(session, project_id, col(Job.model) == name)
    if job_id is not None:
        sentence = f"{name} is needed by {job_id}: cancel that job, or wait until it runs"
        raise Invalid(sentence, code="model_in_use", param="model")
    model.deleted_at = utc_now()
    make_due(session, model)


def account_to_tune(session: Session, project_id: str, name: str, provider: str | None = None) -> Credential:
    """Return the account for a new job on this model, locked so that it is not deleted before the transaction ends.

    That is the account of the project's own tuned model, else the newest one that offers the base model, else one
    whose models are not known yet, else the newest, whose provider then judges the name. With `provider`, only its
    accounts count. Raises `NotFound` for the tuned model of another project, with the same sentence as for a name that
    never existed, and `Invalid` for a provider where the project has no account, or not this model.
    """
    _hold_own(session, project_id, name)
    own = _account_of_own(session, project_id, name)
    if own is not None and provider not in (None, own.provider):
        sentence = f"provider: {name} was made at {own.provider}, and can be tuned further only there"
        raise Invalid(sentence, code="invalid_value", param="provider")
    base = _find_base(session, project_id, name, provider) if own is None else None
    credential = own or (base[0] if base is not None else _account_to_judge(session, project_id, name, provider))
    if credentials.hold(session, credential):
        return credential
    return account_to_tune(session, project_id, name, provider)  # the account was deleted meanwhile: choose again


def _hold_own(session: Session, project_id: str, name: str) -> None:
    """Lock a tuned model against deletion until the transaction ends, in which a job that needs it is created."""
    query = select(TunedModel.id).where(TunedModel.project_id == project_id, TunedModel.name == name)
    session.exec(query.with_for_update(read=True, key_share=True)).all()


def _account_to_judge(session: Session, project_id: str, name: str, provider: str | None) -> Credential:
    """The newest account whose models are not known yet; if all are, the newest.

    Raises `NotFound` for a name by which its provider may find a model that is not the project's.
    """
    accounts = credentials.usable_by(session, project_id, provider)
    chosen = next((account for account in accounts if not account.base_models), accounts[0])
    if _may_be_tuned(session, project_id, name) or Account.of(chosen).shares_private(name):
        raise not_found(name)
    return chosen


def _may_be_tuned(session: Session, project_id: str, name: str) -> bool:
    """Whether a provider may read the name as a model that a job has made, so that it must not get to see it."""
    if not readings.is_ordinary(name) or readings.has_form_of_tuned(name):
        return True
    return bool(readings.made_by_a_job(session, project_id, [name]))


def check_named_beside(session: Session, project_id: str, texts: Collection[tuple[str, str]]) -> None:
    """Judge texts that may be names of models, or mean nothing; each comes with the field it is in.

    Raises `NotFound` for one that may be another project's model.
    """
    made = readings.made_by_a_job(session, project_id, {name for _, name in texts}) if texts else set()
    for param, name in texts:
        if (name in made or readings.has_form_of_tuned(name)) and not is_own(session, project_id, name):
            raise not_found(name, param)


def account_to_call(
    session: Session, project_id: str, name: str, provider: str | None = None, *, param: str = "model"
) -> Credential:
    """Return the account to call this model at: a base model, or a model that one of the project's own jobs has made.

    With `provider`, only its accounts count. While the worker has not yet listed the models of the project's own
    account, that account is used for any name that is not a tuned model, and its provider judges the name. Raises
    `NotFound`, and `Invalid` for a provider where the project has no account.
    """
    own = _account_of_own(session, project_id, name, provider) if provider is not None else None
    base = _find_base(session, project_id, name, provider) if own is None else None
    credential = own or (base[0] if base is not None else _account_of_own(session, project_id, name, provider))
    credential = credential or _unlisted_account(session, project_id, name, provider)
    if credential is None:
        raise not_found(name, param)
    return credential


def _unlisted_account(session: Session, project_id: str, name: str, provider: str | None) -> Credential | None:
    """Return the newest account of the project whose models are not known yet."""
    accounts = credentials.usable_by(session, project_id, provider)
    unlisted = [account for account in accounts if account.project_id and not account.base_models]
    return unlisted[0] if unlisted and not _may_be_tuned(session, project_id, name) else None


def check_permitted(
    session: Session, project_id: str, rule: ModelRule | None, name: str, *, param: str = "model"
) -> None:
    """Raises `Forbidden` if the project's model permissions exclude the model (of a tuned one: its first base)."""
    if rule is None:
        return
    base = base_of(session, project_id, name)
    names = {name, _SNAPSHOT.sub("", base)} | rules().names(base)
    if not rule.allows(names):
        raise Forbidden(
            f"Project `{project_id}` does not have access to model `{name}`: ask your operator",
            code="model_not_found",
            param=param,
        )


def base_of(session: Session, project_id: str, name: str) -> str:
    """The base model that a name stands for: that of a model or a checkpoint of the project, else the name itself."""
    made = select(TunedModel.base_model).where(TunedModel.project_id == project_id, TunedModel.name == name)
    saved = select(Job.model).join(Checkpoint, col(Checkpoint.job_id) == Job.id)
    saved = saved.where(Checkpoint.project_id == project_id, Checkpoint.model == name)
    return first_base(session.exec(made).first() or session.exec(saved).first() or name)


def is_own(session: Session, project_id: str, name: str) -> bool:
    """Whether it is a model or a checkpoint of the project that can be used."""
    return _account_of_own(session, project_id, name) is not None


def not_found(name: str, param: str = "model") -> NotFound:
    return NotFound(
        f"The model `{name}` does not exist or you do not have access to it", code="model_not_found", param=param
    )


def _account_of_own(session: Session, project_id: str, name: str, provider: str | None = None) -> Credential | None:
    """Return the account (at this provider) of the project's tuned model or checkpoint of this name; None if there is
    none.

    Not found are a checkpoint that the provider has dropped, one with the name of a deleted model, and a model whose
    account was deleted.
    """
    model = select(TunedModel.deleted_at, TunedModel.credential_id)
    found = session.exec(model.where(TunedModel.project_id == project_id, TunedModel.name == name)).all()
    alive = [credential_id for deleted_at, credential_id in found if deleted_at is None]
    if not found:
        checkpoint = select(Job.credential_id).join(Checkpoint, col(Checkpoint.job_id) == Job.id)
        checkpoint = checkpoint.where(Checkpoint.project_id == project_id, Checkpoint.model == name)
        alive = list(session.exec(checkpoint.where(col(Checkpoint.expired_at).is_(None))))
    query = select(Credential).where(col(Credential.id).in_(alive), col(Credential.deleted_at).is_(None))
    query = query.where(Credential.provider == provider) if provider is not None else query
    return session.exec(query.order_by(col(Credential.id).desc())).first() if alive else None


def _own(session: Session, project_id: str, name: str, *, lock: bool = False) -> TunedModel:
    model = _find_own(session, project_id, name, lock=lock)
    if model is None:
        raise not_found(name)
    return model


def _find_own(session: Session, project_id: str, name: str, *, lock: bool = False) -> TunedModel | None:
    query = select(TunedModel).where(
        TunedModel.project_id == project_id, TunedModel.name == name, col(TunedModel.deleted_at).is_(None)
    )
    return session.exec(query.with_for_update() if lock else query).one_or_none()


def stated_end(base_model: str, bases: list[dict[str, Any]]) -> str | None:
    """Return the date on which a tuned model stops, which is that of its first base; None if none is announced."""
    name = first_base(base_model)
    return next((base.get("shutdown_date") for base in bases if base["id"] == name), None)

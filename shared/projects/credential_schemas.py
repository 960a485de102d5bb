"""Requests and responses for a project's credentials: keys are accepted, and never shown again."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from shared.db.pages import Listed
from shared.db.times import epoch
from shared.projects.models import Credential
from shared.providers.dialects import Dialect

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


def _for_a_header(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be printable ASCII without spaces: check for a line break that was copied with it")
    return secret


Secret = Annotated[
    SecretStr,
    Field(min_length=1, max_length=4096, json_schema_extra={"writeOnly": True}),
    AfterValidator(_for_a_header),
]


Options = Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=16)]


class CredentialCreate(BaseModel):
    """`provider` is the name that the project's jobs show; by default the dialect's.

    `base_url` may be left out where all accounts of the dialect have one. `options`: what an account of the dialect has
    besides, none of it secret; with those of an Azure application, `api_key` is the application's secret.
    `deploy_on_success`: models of jobs there are deployed when these have succeeded, where the provider needs that.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Name
    base_url: Annotated[str, Field(min_length=1, max_length=2048, examples=["https://api.openai.com/v1"])] | None = None
    api_key: Secret
    provider: Name | None = None
    dialect: Dialect = Dialect.OPENAI
    options: Options = {}
    webhook_secret: Secret | None = None
    deploy_on_success: Annotated[bool, Field(strict=True)] = False


class CredentialUpdate(BaseModel):
    """Fields that are left out keep their value; `webhook_secret: null` removes it, and `options` replaces them all."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Name | None = None
    api_key: Secret | None = None
    options: Options | None = None
    webhook_secret: Secret | None = None
    deploy_on_success: Annotated[bool | None, Field(strict=True)] = None


class CredentialError(BaseModel):
    """The provider's last error for this key, in its own words."""

    code: str
    message: str


class CredentialPublic(Listed):
    """An account at a provider. `redacted_value` shows the end of its key, and nothing more of it is ever shown.

    `last_tested_at` is when the provider last accepted or refused the current key; `last_error` is null if it accepted.
    """

    object: Literal["organization.project.credential"] = "organization.project.credential"
    created_at: int
    updated_at: int
    project_id: str
    name: str
    provider: str
    base_url: str
    dialect: Dialect
    options: dict[str, str]
    redacted_value: str
    has_webhook_secret: bool
    deploy_on_success: bool
    last_tested_at: int | None
    last_error: CredentialError | None

    @classmethod
    def of(cls, row: Credential) -> "CredentialPublic":
        is_tested = row.tested_at is not None and row.tested_version == row.key_version
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            updated_at=epoch(row.updated_at),
            project_id=row.project_id or "",
            name=row.name,
            provider=row.provider,
            base_url=row.base_url,
            dialect=row.dialect,
            options=row.options,
            redacted_value=row.key_hint or "",
            has_webhook_secret=row.sealed_webhook_secret is not None,
            deploy_on_success=row.deploy_on_success,
            last_tested_at=epoch(row.tested_at) if row.tested_at and is_tested else None,
            last_error=CredentialError(**row.test_error) if row.test_error and is_tested else None,
        )


class CredentialDeleted(BaseModel):
    id: str
    object: Literal["organization.project.credential.deleted"] = "organization.project.credential.deleted"
    deleted: Literal[True] = True


class CredentialTest(BaseModel):
    """`ok`: whether the provider accepts the key; if not, `error` says why. `base_models` can be fine-tuned there."""

    object: Literal["organization.project.credential.test"] = "organization.project.credential.test"
    credential_id: str
    ok: bool
    error: CredentialError | None
    base_models: list[str]

    @classmethod
    def of(cls, row: Credential) -> "CredentialTest":
        return cls(
            credential_id=row.id,
            ok=row.test_error is None,
            error=CredentialError(**row.test_error) if row.test_error else None,
            base_models=[base["id"] for base in row.base_models],
        )

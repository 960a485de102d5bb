"""All settings, read once from environment variables and secret files. `.env.example` explains each of them."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from ipaddress import AddressValueError, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from shared import setting_problems
from shared.chat_settings import ChatSettings, DeploymentSettings
from shared.limit_settings import QuotaSettings, RateLimitSettings
from shared.providers.account_settings import AzureSettings, problem_of
from shared.providers.dialects import Dialect
from shared.providers.price_settings import OwnPrice
from shared.retention_settings import RetentionSettings
from shared.setting_types import (
    Bytes,
    Count,
    FileExpiry,
    HttpUrl,
    MailAddress,
    Origin,
    PathPrefix,
    Port,
    ProxyUrl,
    SealingKey,
    Seconds,
    SecondsOrNone,
    SentryDsn,
    check_ports,
)


def _with_driver(url: str) -> str:
    """Accept the usual `postgres://` and `postgresql://`, and name the installed driver as SQLAlchemy needs it."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in {"postgres", "postgresql"}:
        raise ValueError("must be a postgresql:// URL")
    return check_ports(f"postgresql+psycopg://{rest}")


def _not_a_cluster(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "unix://", "sentinel://")):
        raise ValueError("must be a redis:// URL of one server or a sentinel: Celery does not work with a cluster")
    if url.startswith("redis") and not re.fullmatch(r"/?\d*", urlsplit(check_ports(url)).path):
        raise ValueError("must end with the number of a database, such as /0")
    return url


def _folder_or_bucket(location: str) -> str:
    """Return a folder as a path, and a bucket as `s3://bucket/prefix`."""
    if "://" not in location:
        return location
    scheme, _, rest = location.partition("://")
    is_folder = scheme == "file"
    if scheme not in {"file", "s3"} or not rest.strip("/") or rest.startswith("/") != is_folder:
        raise ValueError("must be a folder (a path or file:///path) or a bucket (s3://bucket/prefix)")
    return rest if is_folder else location


def _host(name: str) -> str:
    """Normalise for comparison: a name in lower case, an IPv6 address in its shortest form."""
    name = name.lower().removesuffix(".").strip("[]")
    try:
        if ":" in name:
            return str(IPv6Address(name))
    except AddressValueError:
        name = ""
    if not re.fullmatch("[a-z0-9._-]+", name):
        raise ValueError("must be a host name or an IP address, without a scheme, a port or a path")
    return name


def _host_and_port(address: str | None) -> str | None:
    host, separator, port = (address or "").rpartition(":")
    if address and not (separator and host and port.isdecimal() and int(port) < 65536):
        raise ValueError("must be host:port, such as 0.0.0.0:8001")
    return address or None


class ProviderSettings(BaseModel):
    """The deployment's own provider: any service that speaks OpenAI's fine-tuning API."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = "openai"
    dialect: Dialect = Dialect.OPENAI
    base_url: HttpUrl
    api_key: SecretStr
    base_models: tuple[str, ...] = ()
    timeout: Seconds = timedelta(seconds=30)
    file_expiry: FileExpiry = timedelta(days=30)
    slots: dict[str, Count] = {}
    reserved_slots: Annotated[int, Field(ge=0, lt=1 << 31)] = 1
    max_active_jobs: Annotated[int | None, Field(gt=0, lt=1 << 31)] = None
    webhook_secret: SecretStr | None = None
    options: dict[str, str] = {}

    @model_validator(mode="after")
    def _takes_its_options(self) -> "ProviderSettings":
        if (problem := problem_of(self.dialect, self.options)) is not None:
            raise ValueError(f"options: {problem[0]} {problem[1]}")
        return self


class SmtpSettings(BaseModel):
    """The mail server for e-mail notifications. Without a host none are sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str | None = None
    port: Port = 587
    security: Literal["starttls", "ssl", "plain"] = "starttls"
    user: str | None = None
    password: Annotated[SecretStr | None, Field(repr=False)] = None
    sender: MailAddress = "tunery@localhost"
    timeout: Seconds = timedelta(seconds=20)
    schedule: tuple[SecondsOrNone, ...] = tuple(
        timedelta(seconds=s) for s in (60, 300, 1800, 7200, 18000, 36000, 86400)
    )


class _SecretFiles(NestedSecretsSettingsSource):
    """Files named like variables. An empty one counts as missing, like an empty variable."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name: value for name, value in super()._load_env_vars().items() if value}


class Settings(BaseSettings):
    """Environment variables are named `TUNERY_` and the field, with `__` between nested fields; durations are seconds.

    Files with these names in the folder `TUNERY_SECRETS_DIR` are read too; environment variables take precedence.
    What is empty counts as not set.
    """

    model_config = SettingsConfigDict(
        env_prefix="TUNERY_",
        env_nested_delimiter="__",
        env_parse_none_str="none",
        env_ignore_empty=True,
        frozen=True,
        hide_input_in_errors=True,
    )

    database_url: Annotated[str, AfterValidator(_with_driver), Field(repr=False, validation_alias="DATABASE_URL")]
    migration_database_url: Annotated[Annotated[str, AfterValidator(_with_driver)] | None, Field(repr=False)] = None
    redis_url: Annotated[str, AfterValidator(_not_a_cluster), Field(repr=False, validation_alias="REDIS_URL")]
    secret_keys: Annotated[tuple[SealingKey, ...], Field(min_length=1)]
    provider: ProviderSettings
    azure: AzureSettings = AzureSettings()
    secrets_dir: Path | None = None
    storage: Annotated[str, Field(min_length=1), AfterValidator(_folder_or_bucket)]

    max_file_bytes: Bytes = 1 << 30
    max_upload_bytes: Bytes = 8 << 30
    max_part_bytes: Bytes = 64 << 20
    upload_lifetime: Seconds = timedelta(hours=1)
    max_json_bytes: Bytes = 1 << 20
    max_chat_bytes: Bytes = 32 << 20
    max_result_bytes: Bytes = 2 << 30
    body_timeout: Seconds = timedelta(seconds=30)
    drain_time: SecondsOrNone = timedelta()

    rate_limits: RateLimitSettings = RateLimitSettings()
    chat: ChatSettings = ChatSettings()
    prices: tuple[OwnPrice, ...] = ()
    quotas: QuotaSettings = QuotaSettings()
    deployments: DeploymentSettings = DeploymentSettings()

    root_path: PathPrefix = ""
    cors_origins: tuple[Origin, ...] = ()

    idempotency_lifetime: Seconds = timedelta(days=1)
    poll_every: Seconds = timedelta(seconds=5)
    poll_ceiling: Seconds = timedelta(minutes=1)
    quiet_polls_per_minute: Annotated[float, Field(gt=0, le=1e6)] = 12
    sweep_every: Seconds = timedelta(seconds=0.5)
    enqueue_again_after: Seconds = timedelta(seconds=10)
    lease: Seconds = timedelta(seconds=45)
    create_grace: Seconds = timedelta(minutes=2)
    retry_base: Seconds = timedelta(seconds=2)
    retry_cap: Seconds = timedelta(minutes=5)
    max_step_failures: Count = 5
    worker_process_max_bytes: Annotated[int, Field(ge=256 << 20, le=1 << 50)] = 400 << 20  # 130 MiB before it works
    api_connections: Annotated[int, Field(ge=4, le=1000)] = 40  # of each process
    health_address: Annotated[str | None, AfterValidator(_host_and_port)] = None

    webhook_schedule: tuple[SecondsOrNone, ...] = tuple(
        timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    )
    webhook_timeout: Seconds = timedelta(seconds=15)
    webhook_disable_after: Seconds = timedelta(days=5)
    webhook_retention: SecondsOrNone = timedelta(days=30)
    max_webhook_endpoints: Count = 100
    webhook_ports: tuple[Port, ...] = (443, 8443)
    retention: RetentionSettings = RetentionSettings()
    smtp: SmtpSettings = SmtpSettings()
    egress_proxy: Annotated[ProxyUrl | None, Field(repr=False)] = None
    own_hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = ()
    dangerous_allow_private_urls: tuple[IPv4Network | IPv6Network, ...] = ()

    otel_exporter_otlp_endpoint: Annotated[HttpUrl | None, Field(validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")] = None
    sentry_dsn: Annotated[SentryDsn | None, Field(validation_alias="SENTRY_DSN")] = None
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        folder = os.environ.get("TUNERY_SECRETS_DIR") or None
        files = _SecretFiles(file_secret_settings, secrets_dir=folder, secrets_dir_missing="error")
        return init_settings, env_settings, files


def read_settings() -> Settings:
    """Raises `WrongSettings`, which names every variable that is wrong, missing or unknown."""
    problems = setting_problems.unknown(Settings, os.environ)
    try:
        settings = Settings()
    except (ValidationError, SettingsError, OSError, UnicodeDecodeError) as error:
        problems += setting_problems.explain(Settings, os.environ, error)
    if problems:
        raise setting_problems.WrongSettings(problems)
    return settings


@cache
def get_settings() -> Settings:
    """The settings of this process. Raises `WrongSettings`, which ends it with a sentence."""
    return read_settings()

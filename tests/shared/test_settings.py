"""Settings: where they are read from, which values are refused, and that printing them reveals no secret."""

import os
import re
from datetime import timedelta
from ipaddress import IPv4Network
from operator import attrgetter
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from shared.setting_problems import WITHOUT_PREFIX, variables
from shared.settings import Settings
from tests.shared.process import NEEDED
from tests.world import environment

KEY = "Zm9yIHRoZSB0ZXN0cyBhbG9uZSwgMzIgYnl0ZXMhISE="
PRIVATE = IPv4Network("10.0.0.0/8")
ROOT = Path(__file__).parents[2]


def read(*without: str, **values: str) -> Settings:
    """Read the settings from an environment with the required ones and `values`, but not those in `without`."""
    with environment({**NEEDED, **values}):
        for name in [name for name in os.environ if name.startswith("TUNERY_") and name not in {**NEEDED, **values}]:
            del os.environ[name]
        for name in without:
            del os.environ[name]
        return Settings()


def test_the_example_lists_every_setting_and_nothing_else() -> None:
    text = (ROOT / ".env.example").read_text()
    listed = set(re.findall(rf"^#?\s?(TUNERY_\w+|{'|'.join(WITHOUT_PREFIX)})=", text, re.MULTILINE))
    assert listed == set(variables(Settings))


@pytest.mark.parametrize(
    ("name", "value", "field", "meant"),
    [
        ("TUNERY_CREATE_GRACE", "90", "create_grace", timedelta(seconds=90)),
        ("TUNERY_DRAIN_TIME", "0", "drain_time", timedelta()),
        ("TUNERY_SWEEP_EVERY", "0.25", "sweep_every", timedelta(milliseconds=250)),
        ("TUNERY_PROVIDER__TIMEOUT", "7", "provider.timeout", timedelta(seconds=7)),
        ("TUNERY_PROVIDER__NAME", "azure", "provider.name", "azure"),
        ("TUNERY_PROVIDER__BASE_MODELS", '["a", "b"]', "provider.base_models", ("a", "b")),
        ("TUNERY_WEBHOOK_SCHEDULE", "[5, 300]", "webhook_schedule", (timedelta(seconds=5), timedelta(minutes=5))),
        ("TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS", '["10.0.0.0/8"]', "dangerous_allow_private_urls", (PRIVATE,)),
        ("TUNERY_WEBHOOK_DISABLE_AFTER", "3600", "webhook_disable_after", timedelta(hours=1)),
        ("TUNERY_WEBHOOK_RETENTION", "0", "webhook_retention", timedelta()),
        ("TUNERY_WEBHOOK_PORTS", "[443, 9443]", "webhook_ports", (443, 9443)),
        ("TUNERY_OWN_HOSTS", '["A.Example.", "[2620:FE:0::1]"]', "own_hosts", ("a.example", "2620:fe::1")),
        ("DATABASE_URL", "postgres://a:b@c/d", "database_url", "postgresql+psycopg://a:b@c/d"),
        ("DATABASE_URL", "postgresql+asyncpg://a:b@c/d", "database_url", "postgresql+psycopg://a:b@c/d"),
        ("TUNERY_MIGRATION_DATABASE_URL", "postgres://a@c/d", "migration_database_url", "postgresql+psycopg://a@c/d"),
        ("TUNERY_MAX_FILE_BYTES", "1000", "max_file_bytes", 1000),
        ("TUNERY_API_CONNECTIONS", "20", "api_connections", 20),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://tempo:4318/", "otel_exporter_otlp_endpoint", "http://tempo:4318"),
        ("SENTRY_DSN", "https://key@s.example/eu/1", "sentry_dsn", SecretStr("https://key@s.example/eu/1")),
        ("TUNERY_ROOT_PATH", "/a/tunery-1/", "root_path", "/a/tunery-1"),
        ("TUNERY_ROOT_PATH", "/", "root_path", ""),
        ("TUNERY_CORS_ORIGINS", '["https://App.example:8443"]', "cors_origins", ("https://app.example:8443",)),
        ("TUNERY_CORS_ORIGINS", '["*"]', "cors_origins", ("*",)),
    ],
)
def test_a_setting_is_read_from_the_environment(name: str, value: str, field: str, meant: object) -> None:
    assert attrgetter(field)(read(**{name: value})) == meant


def test_the_providers_url_loses_its_trailing_slash() -> None:
    assert read().provider.base_url == "https://provider.example/v1"


WRONG = [
    ("DATABASE_URL", "mysql://a/b", "must be a postgresql:// URL"),
    ("DATABASE_URL", "postgresql", "must be a postgresql:// URL"),
    ("TUNERY_MIGRATION_DATABASE_URL", "mysql://a/b", "must be a postgresql:// URL"),
    ("REDIS_URL", "redis+cluster://a", "must be a redis:// URL of one server"),
    ("REDIS_URL", "amqp://a", "must be a redis:// URL of one server"),
    ("TUNERY_SECRET_KEYS", "[]", "at least 1 item"),
    ("TUNERY_STORAGE", "", "Field required"),
    ("TUNERY_STORAGE", "gs://bucket", "must be a folder"),
    ("TUNERY_STORAGE", "s3://", "must be a folder"),
    ("TUNERY_STORAGE", "s3:///prefix", "must be a folder"),
    ("TUNERY_STORAGE", "file://relative", "must be a folder"),
    ("TUNERY_MAX_FILE_BYTES", "0", "greater than 0"),
    ("TUNERY_MAX_UPLOAD_BYTES", "1.5", "valid integer"),
    ("TUNERY_MAX_JSON_BYTES", "-1", "greater than 0"),
    ("TUNERY_MAX_STEP_FAILURES", "0", "greater than 0"),
    ("TUNERY_API_CONNECTIONS", "3", "greater than or equal to 4"),
    ("TUNERY_API_CONNECTIONS", "1001", "less than or equal to 1000"),
    ("TUNERY_QUIET_POLLS_PER_MINUTE", "0", "greater than 0"),
    ("TUNERY_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
    ("TUNERY_LOG_FORMAT", "xml", "'json' or 'console'"),
    ("TUNERY_PROVIDER__COLOUR", "red", "Extra inputs are not permitted"),
    (
        "TUNERY_PROVIDER__DIALECT",
        "aws",
        "'openai', 'azure', 'trainer', 'nebius', 'mantle', 'fireworks' or 'together'",
    ),
    ("TUNERY_PROVIDER__SLOTS", '{"*": 0}', "greater than 0"),
    ("TUNERY_PROVIDER__RESERVED_SLOTS", "-1", "greater than or equal to 0"),
    ("TUNERY_PROVIDER__MAX_ACTIVE_JOBS", "0", "greater than 0"),
    ("TUNERY_RATE_LIMITS__OPEN_JOBS", "-1", "greater than or equal to 0"),
    ("TUNERY_RATE_LIMITS__JOBS_PER_WEEK", "1", "Extra inputs are not permitted"),
    ("TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS", '["127.0.0.1/8"]', "is not a valid IPv4 network"),
    ("TUNERY_WEBHOOK_PORTS", "[0]", "greater than 0"),
    ("TUNERY_WEBHOOK_PORTS", "[65536]", "less than 65536"),
    ("TUNERY_OWN_HOSTS", '["https://a.example"]', "must be a host name or an IP address"),
    ("TUNERY_OWN_HOSTS", '["a.example:443"]', "must be a host name or an IP address"),
    ("TUNERY_OWN_HOSTS", '["a b"]', "must be a host name or an IP address"),
    ("TUNERY_HEALTH_ADDRESS", "8001", "must be host:port"),
    ("TUNERY_HEALTH_ADDRESS", ":8001", "must be host:port"),
    ("TUNERY_HEALTH_ADDRESS", "a:b", "must be host:port"),
    ("TUNERY_HEALTH_ADDRESS", "a:65536", "must be host:port"),
    ("TUNERY_SMTP__SENDER", "nobody", "must be an e-mail address"),
    ("TUNERY_SMTP__SECURITY", "tls", "'starttls', 'ssl' or 'plain'"),
    ("TUNERY_SMTP__PORT", "0", "greater than 0"),
    ("TUNERY_ROOT_PATH", "tunery", "must be a path such as /tunery"),
    ("TUNERY_ROOT_PATH", "/a//b", "must be a path such as /tunery"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "tempo:4318", "must be an address such as"),
    ("SENTRY_DSN", "https://sentry.internal/1", "must be the DSN of a project"),
    ("TUNERY_ROOT_PATH", "https://a.example/tunery", "must be a path such as /tunery"),
    ("TUNERY_ROOT_PATH", '/"><script>', "must be a path such as /tunery"),
    ("TUNERY_CORS_ORIGINS", '["app.example"]', "must be \\* or an origin"),
    ("TUNERY_CORS_ORIGINS", '["https://app.example/"]', "must be \\* or an origin"),
    ("TUNERY_CORS_ORIGINS", '["https://*.example"]', "must be \\* or an origin"),
    ("TUNERY_CORS_ORIGINS", '["null"]', "must be \\* or an origin"),
    ("TUNERY_CREATE_GRACE", "soon", "must be a number of seconds"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG)
def test_a_wrong_value_is_refused_with_a_sentence(name: str, value: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        read(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "field", "meant"),
    [
        ("TUNERY_STORAGE", "/data", "storage", "/data"),
        ("TUNERY_STORAGE", "file:///data", "storage", "/data"),
        ("TUNERY_STORAGE", "s3://bucket/prefix", "storage", "s3://bucket/prefix"),
        ("TUNERY_HEALTH_ADDRESS", "", "health_address", None),
        ("TUNERY_HEALTH_ADDRESS", "[::]:8001", "health_address", "[::]:8001"),
        ("TUNERY_RATE_LIMITS__JOBS_PER_DAY", "none", "rate_limits.jobs_per_day", None),
        ("TUNERY_RATE_LIMITS__JOBS_PER_DAY", "0", "rate_limits.jobs_per_day", 0),
        ("REDIS_URL", "rediss://a:1/0", "redis_url", "rediss://a:1/0"),
    ],
)
def test_the_edges_of_values_are_accepted(name: str, value: str, field: str, meant: object) -> None:
    assert attrgetter(field)(read(**{name: value})) == meant


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_required_setting_is_named(name: str) -> None:
    with pytest.raises(ValidationError, match=f"(?i){name.removeprefix('TUNERY_').split('__')[-1]}"):
        read(name)


def test_the_providers_key_is_never_taken_from_the_clients_variable() -> None:
    with pytest.raises(ValidationError):
        read("TUNERY_PROVIDER__API_KEY", OPENAI_API_KEY="sk-of-the-client")


def test_secrets_are_read_from_files_and_variables_take_precedence(tmp_path: Path) -> None:
    written = {
        "TUNERY_SECRET_KEYS": f'["{KEY}"]\n',
        "tunery_provider__api_key": "sk-from-a-file\n",
        "DATABASE_URL": "postgresql://from/a-file",
    }
    for name, value in written.items():
        (tmp_path / name).write_text(value)
    needed = ("TUNERY_SECRET_KEYS", "TUNERY_PROVIDER__API_KEY")
    found = read(*needed, TUNERY_SECRETS_DIR=str(tmp_path))
    assert [key.get_secret_value() for key in found.secret_keys] == [KEY]
    assert found.provider.api_key.get_secret_value() == "sk-from-a-file"
    assert found.provider.base_url == "https://provider.example/v1"
    assert found.database_url.startswith("postgresql+psycopg://user:password@")


def test_a_missing_folder_of_secrets_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        read(TUNERY_SECRETS_DIR=str(tmp_path / "nothing"))


def test_printed_settings_contain_no_secret() -> None:
    printed = f"{read()!r} {read()}"
    assert "provider.example" in printed
    for secret in ("password", "sk-of-the-provider", "7mHzuRXCAr8AFnIO0h2pUMVsXDdLkcOTBFFSKRWQZ_o="):
        assert secret not in printed


def test_settings_cannot_be_changed() -> None:
    for changed, name in ((read(), "storage"), (read().provider, "name")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(changed, name, "another")


def test_unsafe_settings_begin_with_dangerous() -> None:
    assert [name for name in Settings.model_fields if "allow" in name or "insecure" in name or "skip" in name] == [
        name for name in Settings.model_fields if name.startswith("dangerous_")
    ]

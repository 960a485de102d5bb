"""Settings: where they are read from, what is refused, and that they tell no secret."""

import os
import re
from datetime import timedelta
from ipaddress import IPv4Network
from operator import attrgetter
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from shared.settings import Settings
from tests.shared.process import NEEDED
from tests.world import environment

PRIVATE = IPv4Network("10.0.0.0/8")
ROOT = Path(__file__).parents[2]


def read(*without: str, **values: str) -> Settings:
    """The settings in an environment that has what has no default, and these, but not those."""
    with environment({**NEEDED, **values}):
        for name in [name for name in os.environ if name.startswith("TUNERY_") and name not in {**NEEDED, **values}]:
            del os.environ[name]
        for name in without:
            del os.environ[name]
        return Settings()


def names(model: type[BaseModel], prefix: str) -> set[str]:
    """The environment's names for every field; a field that has fields of its own is named by these."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= names(field.annotation, f"{prefix}{name.upper()}__")
        else:
            found.add(str(field.validation_alias) if field.validation_alias else f"{prefix}{name.upper()}")
    return found


def test_every_setting_stands_in_the_example_and_nothing_else() -> None:
    text = (ROOT / ".env.example").read_text()
    listed = set(re.findall(r"^#?\s?((?:TUNERY_\w+|DATABASE_URL|REDIS_URL))=", text, re.MULTILINE))
    assert listed == names(Settings, "TUNERY_")


@pytest.mark.parametrize(
    ("name", "value", "field", "meant"),
    [
        ("TUNERY_CREATE_GRACE", "90", "create_grace", timedelta(seconds=90)),
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
        ("TUNERY_MAX_FILE_BYTES", "1000", "max_file_bytes", 1000),
    ],
)
def test_a_setting_is_read_from_the_environment(name: str, value: str, field: str, meant: object) -> None:
    assert attrgetter(field)(read(**{name: value})) == meant


def test_an_address_of_the_provider_ends_without_a_slash() -> None:
    assert read().provider.base_url == "https://provider.example/v1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://a/b"),
        ("REDIS_URL", "redis+cluster://a"),
        ("REDIS_URL", "amqp://a"),
        ("TUNERY_SECRET_KEYS", "[]"),
        ("TUNERY_MAX_FILE_BYTES", "0"),
        ("TUNERY_MAX_JSON_BYTES", "-1"),
        ("TUNERY_LOG_LEVEL", "loud"),
        ("TUNERY_PROVIDER__COLOUR", "red"),
        ("TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS", '["127.0.0.1/8"]'),
        ("TUNERY_WEBHOOK_PORTS", "[0]"),
        ("TUNERY_OWN_HOSTS", '["https://a.example"]'),
        ("TUNERY_OWN_HOSTS", '["a.example:443"]'),
        ("TUNERY_CREATE_GRACE", "soon"),
    ],
)
def test_a_wrong_setting_is_refused_at_the_start(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        read(**{name: value})


@pytest.mark.parametrize("name", NEEDED)
def test_a_setting_without_a_default_is_asked_for(name: str) -> None:
    with pytest.raises(ValidationError, match=f"(?i){name.removeprefix('TUNERY_').split('__')[-1]}"):
        read(name)


def test_the_providers_key_is_never_taken_from_the_clients_variable() -> None:
    with pytest.raises(ValidationError):
        read("TUNERY_PROVIDER__API_KEY", OPENAI_API_KEY="sk-of-the-client")


def test_secrets_are_read_from_files_and_the_environment_goes_before_them(tmp_path: Path) -> None:
    written = {
        "TUNERY_SECRET_KEYS": '["from-a-file"]\n',
        "tunery_provider__api_key": "sk-from-a-file\n",
        "DATABASE_URL": "postgresql://from/a-file",
    }
    for name, value in written.items():
        (tmp_path / name).write_text(value)
    needed = ("TUNERY_SECRET_KEYS", "TUNERY_PROVIDER__API_KEY")
    found = read(*needed, TUNERY_SECRETS_DIR=str(tmp_path))
    assert [key.get_secret_value() for key in found.secret_keys] == ["from-a-file"]
    assert found.provider.api_key.get_secret_value() == "sk-from-a-file"
    assert found.provider.base_url == "https://provider.example/v1"
    assert found.database_url.startswith("postgresql+psycopg://user:password@")


def test_a_folder_of_secrets_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        read(TUNERY_SECRETS_DIR=str(tmp_path / "nothing"))


def test_settings_tell_no_secret() -> None:
    told = f"{read()!r} {read()}"
    assert "provider.example" in told
    for secret in ("password", "sk-of-the-provider", "7mHzuRXCAr8AFnIO0h2pUMVsXDdLkcOTBFFSKRWQZ_o="):
        assert secret not in told


def test_settings_cannot_be_changed() -> None:
    for changed, name in ((read(), "storage"), (read().provider, "name")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(changed, name, "another")


def test_what_is_unsafe_says_so_in_its_name() -> None:
    assert [name for name in Settings.model_fields if "allow" in name or "insecure" in name or "skip" in name] == [
        name for name in Settings.model_fields if name.startswith("dangerous_")
    ]

"""The settings of the sandbox, each a command line flag and a `SANDBOX_*` environment variable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import environ

from wire_server.process import settings


@dataclass(frozen=True, slots=True)
class Settings(settings.Settings):
    port: int = 8790
    api_key: str = "sk-sandbox"
    organization: str = "sandbox"
    wire: str = "openai"
    """The provider whose API it speaks: one of `sandbox.wires.registry.WIRES`."""
    speed: float = 1.0
    """How many times faster than OpenAI jobs run. At 0 a job stands still until `POST /sandbox/jobs/{id}` moves it."""
    folder: str = ""
    """Empty: nowhere; they are gone when the process ends."""


def read(arguments: Sequence[str], environment: Mapping[str, str] = environ) -> Settings:
    description = "A stand-in for the API of OpenAI, or of another provider, for trials and tests."
    return settings.read(Settings, "sandbox", description, arguments, environment)

"""Sentences for the errors that an operator meets first: a setting that is missing, a database that does not answer."""

from psycopg.errors import InsufficientPrivilege
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError, ProgrammingError

from shared.errors import ServiceError
from shared.key_rotation.startup_check import KeyLost
from shared.settings import Settings


def sentence_for(error: Exception) -> str:
    """What to say instead of a traceback; the error is raised again when it is not one of these."""
    if isinstance(error, ValidationError) and error.title == Settings.__name__:
        return _about_settings(error)
    if isinstance(error, OperationalError):
        return f"The database of DATABASE_URL does not answer: {str(error.orig).strip()}"
    if isinstance(error, ProgrammingError) and isinstance(error.orig, InsufficientPrivilege):
        return f"The database does not allow it: {error.orig.diag.message_primary}."
    if isinstance(error, ServiceError | KeyLost):
        return f"{error}."
    raise error


def _about_settings(error: ValidationError) -> str:
    lines = [f"  {_name_of(problem['loc'])}: {problem['msg']}" for problem in error.errors(include_input=False)]
    return "The environment does not fit; .env.example shows each variable.\n" + "\n".join(lines)


def _name_of(location: tuple[int | str, ...]) -> str:
    parts = [part.upper() for part in location if isinstance(part, str)]
    if parts == ["PROVIDER"]:
        return "TUNERY_PROVIDER__BASE_URL and TUNERY_PROVIDER__API_KEY"
    name = "__".join(parts)
    return name if name in {"DATABASE_URL", "REDIS_URL"} else f"TUNERY_{name}"

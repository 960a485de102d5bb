"""Sentences for the errors that an operator meets first: a database that does not answer, or is not migrated."""

from psycopg.errors import InsufficientPrivilege
from sqlalchemy.exc import OperationalError, ProgrammingError

from shared.database import NOT_MIGRATED, lacks_migrations
from shared.errors import ServiceError
from shared.key_rotation.startup_check import KeyLost


def sentence_for(error: Exception) -> str:
    """What to say instead of a traceback; the error is raised again when it is not one of these."""
    if isinstance(error, OperationalError):
        return f"The database of DATABASE_URL does not answer: {str(error.orig).strip()}"
    if isinstance(error, ProgrammingError) and isinstance(error.orig, InsufficientPrivilege):
        return f"The database does not allow it: {error.orig.diag.message_primary}."
    if isinstance(error, ProgrammingError) and lacks_migrations(error):
        return f"{NOT_MIGRATED[0].upper()}{NOT_MIGRATED[1:]}."
    if isinstance(error, ServiceError | KeyLost):
        return f"{error}."
    raise error

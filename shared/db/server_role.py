"""What the servers' login may do: read and write rows. It owns nothing, so it changes no table, trigger or policy.

The rights are those of the role `tunery_server`, which `tunery migrate` grants anew each time, also for new tables. The
login of `DATABASE_URL` is a member; it is another than the owner's if `TUNERY_MIGRATION_DATABASE_URL` is set.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import sql
from psycopg.errors import DuplicateObject, InsufficientPrivilege, UniqueViolation
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

ROLE, PROJECT_ROLE = "tunery_server", "tunery_app"
# Written by migrations and by triggers alone.
READ_ONLY = frozenset({"alembic_version", "audit_chains", "daily_jobs", "daily_sums", "job_labels", "project_storage"})
ADDED_TO = frozenset({"audit_logs", "ledger_entries"})  # entries are inserted, and never changed

_TABLES = text(
    "select relname, relrowsecurity, exists (select from pg_policy where polrelid = c.oid and polname = 'server'),"
    " array(select privilege_type from aclexplode(relacl) where grantee = cast(:role as regrole))"
    " from pg_class c where relkind in ('r', 'p') and relnamespace = current_schema()::regnamespace order by relname"
)
_ROLE_EXISTS = text("select exists (select from pg_roles where rolname = :role)")
_IS_MEMBER = text("select pg_has_role(:member, :role, 'USAGE')")
_MAY_TAKE = text(
    "select exists (select from pg_auth_members where roleid = cast(:role as regrole)"
    " and member = cast(:member as regrole) and set_option and not inherit_option)"
)


class NotAllowed(Exception):
    """The owner may not make or grant a role; `statements` are what an administrator has to run."""

    def __init__(self, statements: str) -> None:
        super().__init__(statements)
        self.statements = statements


def rights_on(table: str) -> frozenset[str]:
    if table in READ_ONLY:
        return frozenset({"SELECT"})
    if table in ADDED_TO:
        return frozenset({"SELECT", "INSERT"})
    return frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})


def grant_rights(owner: Connection, login: URL | None) -> None:
    """Grant the role its rights, and the role to the login, which is made if it does not exist.

    `owner` commits each statement by itself, so that no lock on a table is held while another one is waited for.
    Without a login (the servers connect as the owner) only the role is prepared. Raises `NotAllowed`.
    """
    _make_role(owner)
    schema = _quoted(str(owner.scalar(text("select current_schema()"))))
    _run(owner, f"grant usage on schema {schema} to {ROLE}")
    _run(owner, f"grant usage on all sequences in schema {schema} to {ROLE}")
    for name, is_protected, has_policy, rights in owner.execute(_TABLES, {"role": ROLE}).all():
        table = f"{schema}.{_quoted(name)}"
        if {*rights} != rights_on(name):
            _run(owner, f"revoke all on {table} from {ROLE}")
            _run(owner, f"grant {', '.join(sorted(rights_on(name)))} on {table} to {ROLE}")
        if is_protected and not has_policy:
            _run(owner, f"create policy server on {table} to {ROLE} using (true)")
    if login is not None:
        _make_login(owner, login)


def make_roles(owner: Connection) -> None:
    """Make the roles that a dump names and does not contain, and let the owner take that of projects.

    `owner` commits each statement by itself. Raises `NotAllowed`.
    """
    me = str(owner.scalar(text("select session_user")))
    grant = f"GRANT {PROJECT_ROLE} TO {_quoted(me)}"
    with _or_ask_for(f"CREATE ROLE {PROJECT_ROLE} NOLOGIN; {grant}"):
        if not owner.scalar(_ROLE_EXISTS, {"role": PROJECT_ROLE}):
            _create_role(owner, f"create role {PROJECT_ROLE} nologin nobypassrls")
        if not owner.scalar(text("select pg_has_role(session_user, :role, 'SET')"), {"role": PROJECT_ROLE}):
            _run(owner, grant)
    _make_role(owner)


def _make_role(owner: Connection) -> None:
    if not owner.scalar(_ROLE_EXISTS, {"role": ROLE}):
        ask = f"CREATE ROLE {ROLE} NOLOGIN; GRANT {PROJECT_ROLE} TO {ROLE} WITH INHERIT FALSE"
        with _or_ask_for(ask):
            _create_role(owner, f"create role {ROLE} nologin")
    if not owner.scalar(_MAY_TAKE, {"role": PROJECT_ROLE, "member": ROLE}):
        # Without INHERIT: what the server reads across projects is judged by its own policy alone.
        with _or_ask_for(f"GRANT {PROJECT_ROLE} TO {ROLE} WITH INHERIT FALSE"):
            _run(owner, f"grant {PROJECT_ROLE} to {ROLE} with inherit false")


def _make_login(owner: Connection, login: URL) -> None:
    name = login.username or ""
    if not owner.scalar(_ROLE_EXISTS, {"role": name}):
        verifier = _scram_verifier(owner, name, str(login.password or ""))
        with _or_ask_for(f"CREATE ROLE {_quoted(name)} LOGIN PASSWORD '…'; GRANT {ROLE} TO {_quoted(name)}"):
            _create_role(owner, f"create role {_quoted(name)} login password '{verifier}'")
    if not owner.scalar(_IS_MEMBER, {"role": ROLE, "member": name}):
        with _or_ask_for(f"GRANT {ROLE} TO {_quoted(name)}"):
            _run(owner, f"grant {ROLE} to {_quoted(name)}")


def _create_role(owner: Connection, statement: str) -> None:
    try:
        _run(owner, statement)
    except DBAPIError as error:  # roles are the server's: a migration of another database may have made it just now
        if not isinstance(error.orig, DuplicateObject | UniqueViolation):
            raise


def _scram_verifier(owner: Connection, name: str, password: str) -> str:
    """What Postgres stores instead of the password, which would otherwise be in its log of statements."""
    connection: Any = owner.connection.driver_connection
    return str(connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode())


@contextmanager
def _or_ask_for(statements: str) -> Iterator[None]:
    try:
        yield
    except ProgrammingError as error:
        if isinstance(error.orig, InsufficientPrivilege):
            raise NotAllowed(statements) from None
        raise


def _run(owner: Connection, statement: str) -> None:
    owner.exec_driver_sql(statement.replace("%", "%%"))


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()

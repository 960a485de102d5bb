"""row-level security: one role that sees the rows of one project alone, whatever is asked.

A table made later is protected by a line in its own migration: `op.execute("select tunery_protect('its_name')")`.
Its owner, as whom the processes connect, works across projects and needs no policy: FORCE would bind the owner too, who
could then neither be replaced nor dump the database without more privileges.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ROLE = """
do $$
begin
    if not exists (select from pg_roles where rolname = 'tunery_app') then
        begin
            create role tunery_app nologin nobypassrls;
        exception when duplicate_object or unique_violation then  -- another database of this server just did
            null;
        end;
    end if;
    begin
        perform set_config('role', 'tunery_app', true);
    exception when insufficient_privilege then
        execute format('grant tunery_app to %I', session_user);
    end;
    perform set_config('role', 'none', true);
exception when insufficient_privilege then
    raise insufficient_privilege using message = format(
        'the user %s may not make or take the role tunery_app, which shows a request the rows of its own project only: '
        'let an administrator run CREATE ROLE tunery_app NOLOGIN; GRANT tunery_app TO %I; and migrate again',
        session_user, session_user);
end $$
"""

_GRANTS = """
do $$
begin
    execute format('grant usage on schema %I to tunery_app', current_schema());
    execute format('grant select, insert, update, delete on all tables in schema %I to tunery_app', current_schema());
    execute format('grant usage on all sequences in schema %I to tunery_app', current_schema());
    execute format('alter default privileges in schema %I grant select, insert, update, delete on tables to tunery_app',
        current_schema());
    execute format('alter default privileges in schema %I grant usage on sequences to tunery_app', current_schema());
end $$
"""

# `shared` lets the rows of no project be read by all of them.
_PROTECT = """
create function tunery_protect(protected regclass, owner text default 'project_id', shared boolean default false)
returns void language plpgsql as $$
declare
    own text := format('%I = nullif(current_setting(''tunery.project'', true), '''')', owner);
begin
    execute format('alter table %s enable row level security', protected);
    execute format('create policy project on %s to tunery_app using (%s) with check (%s)', protected, own, own);
    if shared then
        execute format('create policy shared on %s for select to tunery_app using (%I is null)', protected, owner);
    end if;
end $$
"""

_PROTECT_ALL = """
select tunery_protect(attrelid::regclass, shared => attrelid = 'credentials'::regclass)
from pg_attribute join pg_class on pg_class.oid = attrelid
where attname = 'project_id' and relkind = 'r' and relnamespace = current_schema()::regnamespace
"""


def upgrade() -> None:
    op.execute(_ROLE)
    op.execute(_GRANTS)
    for table in ("organizations", "api_keys", "alembic_version"):
        op.execute(f"revoke insert, update, delete on {table} from tunery_app")
    op.execute(_PROTECT)
    op.execute(_PROTECT_ALL)
    op.execute("select tunery_protect('projects', 'id')")


_UNPROTECT_ALL = """
do $$
declare
    protected record;
begin
    for protected in
        select polrelid::regclass as table, polname as name from pg_policy where polname in ('project', 'shared')
    loop
        execute format('drop policy %I on %s', protected.name, protected.table);
        execute format('alter table %s disable row level security', protected.table);
    end loop;
    drop function tunery_protect(regclass, text, boolean);
    drop owned by tunery_app;
end $$
"""


def downgrade() -> None:
    """The role stays: other databases of this server may have it too."""
    op.execute(_UNPROTECT_ALL)

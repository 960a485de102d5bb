-- Indexes, besides those of primary keys, unique constraints and `due_at`.

create index ix_api_keys_project_id on api_keys (project_id);
create index ix_api_keys_service_account_id on api_keys (service_account_id);
create index ix_audit_logs_project_id_audit_logs_id on audit_logs (project_id, id);
create index ix_audit_logs_resource_id_audit_logs_id on audit_logs (resource_id, id);
create index ix_checkpoints_model on checkpoints (model);
create index ix_credentials_project_id on credentials (project_id);
create index ix_datasets_project_id_datasets_id on datasets (project_id, id);
create index ix_job_events_job_id_job_events_id on job_events (job_id, id);
create index ix_jobs_project_id_jobs_id on jobs (project_id, id);
create index ix_jobs_training_file on jobs (training_file);
create index ix_jobs_validation_file on jobs (validation_file);
create index ix_ledger_entries_created_at on ledger_entries (created_at);
create index ix_ledger_entries_job_id on ledger_entries (job_id);
create index ix_ledger_entries_project_id_ledger_entries_id on ledger_entries (project_id, id);
create index ix_notifications_project_id_notifications_id on notifications (project_id, id);
create index ix_rate_limits_project_id on rate_limits (project_id);
create index ix_spend_alerts_project_id_spend_alerts_id on spend_alerts (project_id, id);
create index ix_stored_answers_created_at on stored_answers (created_at);
create index ix_tuned_models_name on tuned_models (name);
create index ix_tuned_models_project_id_tuned_models_id on tuned_models (project_id, id);
create index ix_upload_parts_upload_id on upload_parts (upload_id);
create index ix_webhook_attempts_delivery_id on webhook_attempts (delivery_id);
create index ix_webhook_deliveries_endpoint_id_webhook_deliveries_id on webhook_deliveries (endpoint_id, id);
create index ix_webhook_endpoints_project_id_webhook_endpoints_id on webhook_endpoints (project_id, id);
create index ix_webhook_events_object_id on webhook_events (object_id);
create index ix_webhook_events_project_id_webhook_events_id on webhook_events (project_id, id);
create index ix_webhook_recoveries_endpoint_id on webhook_recoveries (endpoint_id);

create index ix_jobs_at_provider on jobs (credential_id, provider_job_id)
    where provider_job_id is not null and status not in ('succeeded', 'failed', 'cancelled');
create index ix_jobs_held on jobs (queue_id, project_id) where slot = 'held' and status <> 'paused';
create index ix_jobs_open on jobs (project_id) where status not in ('succeeded', 'failed', 'cancelled');
create index ix_jobs_waiting on jobs (queue_id, project_id, priority, id) where slot = 'waiting' and status = 'queued';
create index ix_webhook_deliveries_endpoint_due on webhook_deliveries (endpoint_id, due_at) where due_at is not null;
create index ix_webhook_deliveries_project_due on webhook_deliveries (project_id, due_at) where due_at is not null;

-- The deployment has one credential per address; credentials of projects may share one.
create unique index uq_credentials_of_the_deployment on credentials (base_url) where project_id is null;

-- A month's sums are read from this index alone, without the table.
create index ix_ledger_entries_sums on ledger_entries (project_id, month) include (kind, currency, amount);


-- Triggers: some tables are only added to, by every role, also by the one that owns them.

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is only added to: write another entry that corrects it', tg_table_name;
end
$$;

create trigger ledger_entries_only_added_to before update or delete on ledger_entries
    for each row execute function refuse_change();

-- To remove audit entries, the owner of the table says so in the transaction: `tunery audit prune`.
create function refuse_audit_change() returns trigger language plpgsql as $$
begin
    if tg_op <> 'UPDATE' and current_setting('tunery.audit_prune', true) = 'on'
        and current_user = (select pg_get_userbyid(relowner) from pg_class where oid = tg_relid)
    then
        return old;
    end if;
    raise exception 'audit_logs is append-only: entries are removed by «tunery audit prune» alone'
        using errcode = 'insufficient_privilege';
end $$;

create trigger append_only before update or delete on audit_logs
    for each row execute function refuse_audit_change();
create trigger append_only_as_a_whole before truncate on audit_logs
    for each statement execute function refuse_audit_change();


-- Row-level security: the role `tunery_app` sees the rows of one project, whatever is queried. The processes connect as
-- the tables' owner, who works across projects and needs no policy, and take this role for a request. FORCE would bind
-- the owner too, who could then neither be replaced nor dump the database without more privileges.

do $$
begin
    if not exists (select from pg_roles where rolname = 'tunery_app') then
        begin
            create role tunery_app nologin nobypassrls;
        exception when duplicate_object or unique_violation then  -- a migration of another database on this server won
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
end $$;

-- A later migration protects its new table by `select tunery_protect('its_name')`.
-- `shared`: rows without a project may be read by every project.
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
end $$;

select tunery_protect(attrelid::regclass, shared => attrelid = 'credentials'::regclass)
from pg_attribute join pg_class on pg_class.oid = attrelid
where attname = 'project_id' and relkind = 'r' and relnamespace = current_schema()::regnamespace;

select tunery_protect('projects', 'id');


-- Grants: the role works in every table, also in those of later migrations, except where a request has no business.

do $$
begin
    execute format('grant usage on schema %I to tunery_app', current_schema());
    execute format('grant select, insert, update, delete on all tables in schema %I to tunery_app', current_schema());
    execute format('grant usage on all sequences in schema %I to tunery_app', current_schema());
    execute format('alter default privileges in schema %I grant select, insert, update, delete on tables to tunery_app',
        current_schema());
    execute format('alter default privileges in schema %I grant usage on sequences to tunery_app', current_schema());
end $$;

revoke insert, update, delete on organizations, api_keys, rate_limits, alembic_version from tunery_app;
revoke update, delete on ledger_entries, audit_logs from tunery_app;

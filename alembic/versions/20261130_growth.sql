-- Each of these tables is written by a trigger in the transaction of the row that it follows, so that it is right
-- whatever writes that row, the version before this one included. Nobody else may write them.

create function tunery_add_to_daily_sums() returns trigger language plpgsql security definer as $$
begin
    insert into daily_sums as known (project_id, day, month, is_reserved, line_item, currency, amount, quantity)
    select project_id, (created_at at time zone 'UTC')::date as day, month, is_reserved,
        case when is_reserved then '' else line_item end as item, currency, sum(amount),
        case when is_reserved then null else sum(quantity) end
    from added, lateral (select kind in ('reserve', 'release') as is_reserved) as its
    group by project_id, day, month, is_reserved, item, currency
    order by project_id, day, month, is_reserved, item, currency
    on conflict (project_id, day, month, is_reserved, line_item, currency) do update
    set amount = known.amount + excluded.amount,
        quantity = coalesce(known.quantity + excluded.quantity, known.quantity, excluded.quantity);
    return null;
end $$;

create trigger ledger_entries_daily_sums after insert on ledger_entries referencing new table as added
    for each statement execute function tunery_add_to_daily_sums();


create function tunery_write_labels() returns trigger language plpgsql security definer as $$
begin
    insert into job_labels (project_id, key, value, job_id)
    select new.project_id, key, value, new.id from jsonb_each_text(new.labels);
    return null;
end $$;

create trigger jobs_labels after insert on jobs for each row when (new.labels is not null)
    execute function tunery_write_labels();


-- Deferred to the commit: nothing else waits for a lock while this row is held.
create function tunery_count_ended() returns trigger language plpgsql security definer as $$
begin
    insert into daily_jobs as known (project_id, day, status, jobs, trained_tokens)
    values (new.project_id, (new.created_at at time zone 'UTC')::date, new.status, 1, coalesce(new.trained_tokens, 0))
    on conflict (project_id, day, status) do update
    set jobs = known.jobs + 1, trained_tokens = known.trained_tokens + excluded.trained_tokens;
    return null;
end $$;

create constraint trigger jobs_ended after update on jobs deferrable initially deferred for each row
    when (new.status in ('succeeded', 'failed', 'cancelled') and old.status not in ('succeeded', 'failed', 'cancelled'))
    execute function tunery_count_ended();

create constraint trigger jobs_ended_at_once after insert on jobs deferrable initially deferred for each row
    when (new.status in ('succeeded', 'failed', 'cancelled')) execute function tunery_count_ended();


create function tunery_count_stored() returns trigger language plpgsql security definer as $$
declare
    files int := (new.deleted_at is null)::int;
    bytes bigint := case when new.deleted_at is null then new.bytes else 0 end;
begin
    if tg_op = 'UPDATE' and old.deleted_at is null then
        files := files - 1;
        bytes := bytes - old.bytes;
    end if;
    if files <> 0 or bytes <> 0 then
        insert into project_storage as known (project_id, files, bytes) values (new.project_id, files, bytes)
        on conflict (project_id) do update
        set files = known.files + excluded.files, bytes = known.bytes + excluded.bytes;
    end if;
    return null;
end $$;

create constraint trigger datasets_stored after insert or update on datasets deferrable initially deferred
    for each row execute function tunery_count_stored();


do $$
declare
    made text;
begin
    foreach made in array array['tunery_add_to_daily_sums', 'tunery_write_labels', 'tunery_count_ended',
        'tunery_count_stored'] loop
        execute format('alter function %I() set search_path = %I, pg_temp', made, current_schema());
        execute format('revoke all on function %I() from public', made);
    end loop;
end $$;

revoke insert, update, delete on job_labels, daily_sums, daily_jobs, project_storage from tunery_app;


-- What is there already. The tables are locked against writes until the end of the migration, so nothing is counted
-- twice or missed.

lock table ledger_entries, jobs, datasets in share row exclusive mode;

insert into daily_sums (project_id, day, month, is_reserved, line_item, currency, amount, quantity)
select project_id, (created_at at time zone 'UTC')::date as day, month, is_reserved,
    case when is_reserved then '' else line_item end as item, currency, sum(amount),
    case when is_reserved then null else sum(quantity) end
from ledger_entries, lateral (select kind in ('reserve', 'release') as is_reserved) as its
group by project_id, day, month, is_reserved, item, currency;

insert into daily_jobs (project_id, day, status, jobs, trained_tokens)
select project_id, (created_at at time zone 'UTC')::date as day, status, count(*), coalesce(sum(trained_tokens), 0)
from jobs where status in ('succeeded', 'failed', 'cancelled') group by project_id, day, status;

insert into project_storage (project_id, files, bytes)
select project_id, count(*), coalesce(sum(bytes), 0) from datasets where deleted_at is null group by project_id;

insert into job_labels (project_id, key, value, job_id)
select project_id, key, value, jobs.id from jobs, jsonb_each_text(labels)
where labels is not null and jsonb_typeof(labels) = 'object';

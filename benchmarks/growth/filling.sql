-- Writes jobs that have ended over a time in the past, with all that belongs to them. Psycopg fills in the values.
-- Of whatever a filter is to find, there are four, whether there are a hundred jobs or a hundred thousand.

-- Without triggers and the checks of foreign keys, which would take most of the time.
set local session_replication_role = replica;

create temp table wanted on commit drop as
select n, at, letters, n %% (%(jobs)s / 4) = 1 as is_rare,
    case when n %% 20 < 16 then 'succeeded' when n %% 20 < 19 then 'failed' else 'cancelled' end as status,
    pg_temp.growth_id('ftjob-', letters, %(batch)s, n) as job_id,
    pg_temp.growth_id('file-', letters, %(batch)s, n) as file_id,
    pg_temp.growth_id('wh_', letters, %(batch)s, n) as delivery_id
from generate_series(1, %(jobs)s) n,
    lateral (select now() - %(ended)s - (%(jobs)s - n) * (%(lasted)s / %(jobs)s) as at) made,
    lateral (select pg_temp.letters_of(at) as letters) named;

update wanted later set file_id = wanted.file_id from wanted where later.n %% 2 = 0 and wanted.n = later.n - 1;
analyze wanted;

create temp table files on commit drop as
select made.* from wanted, datasets template, lateral jsonb_populate_record(template, jsonb_build_object(
    'id', file_id, 'created_at', at, 'project_id', %(project)s, 'filename', 'train-' || n || '.jsonl', 'due_at', null,
    'purpose', case when is_rare then 'evals' else 'fine-tune' end,
    'source', case when n %% 1000 = 13 then jsonb_build_object('split_of', %(file)s::text, 'part', 'training') end,
    'deleted_at', case when n %% 20 = 19 then at end)) made
where template.id = %(file)s and n %% 2 = 1;
alter table files drop split_of;  -- Postgres makes it
do $$ begin execute (
    select format('insert into datasets (%%1$s) select %%1$s from files', string_agg(quote_ident(attname), ', '))
    from pg_attribute where attrelid = 'files'::regclass and attnum > 0 and not attisdropped
); end $$;

insert into dataset_reports
select made.* from wanted, dataset_reports template, lateral jsonb_populate_record(template, jsonb_build_object(
    'id', pg_temp.growth_id('report_', letters, %(batch)s, n), 'created_at', at, 'project_id', %(project)s,
    'dataset_id', file_id)) made
where template.dataset_id = %(file)s and n %% 2 = 1;

insert into jobs
select made.* from wanted, jobs template, lateral jsonb_populate_record(template, jsonb_build_object(
    'id', job_id, 'created_at', at, 'project_id', %(project)s, 'training_file', file_id, 'due_at', null, 'slot', null,
    'status', wanted.status, 'finished_at', at + interval '20 minutes', 'trained_tokens', 1000 + n %% 1000,
    'model', case when is_rare then 'gpt-4.1-2025-04-14' else template.model end,
    'approval', case when is_rare then 'approved' end, 'next_action', null, 'request', null,
    'error', case when wanted.status = 'failed' then '{"code": "x", "message": "It failed", "param": null}'::jsonb end,
    'fine_tuned_model', 'ft:' || template.model || ':growth:' || %(batch)s || n,
    'labels', case when n %% (%(jobs)s / 4) <> 2 then jsonb_build_object(
        'team', 'team ' || n %% 50, 'run', n::text, 'rare', is_rare::text) end)) made
where template.id = %(job)s;

insert into job_events (id, created_at, project_id, job_id, provider_event_id, level, type, message, data)
select pg_temp.growth_id('ftevent-', letters || number, %(batch)s, n),
    at + number * interval '2 minutes', %(project)s, job_id, 'ftevent-' || %(batch)s || md5(n || 'of' || number), 'info',
    case when number in (0, 9) then 'message' else 'metrics' end,
    case when number = 0 then 'Created' when number = 9 then 'Ended' else 'Step ' || number || ': loss=0.5' end,
    case when number not in (0, 9) then jsonb_build_object(
        'step', number, 'total_steps', 8, 'train_loss', 2.0 / number, 'train_mean_token_accuracy', 0.8) end
from wanted, generate_series(0, 9) number
order by 2;  -- as they come: the size of indexes depends on the order

insert into checkpoints (id, created_at, project_id, job_id, provider_checkpoint_id, model, step_number, metrics)
select pg_temp.growth_id('ftckpt_', letters, %(batch)s, n), at, %(project)s, job_id, 'ftckpt_' || %(batch)s || n,
    'ft:gpt-4o-mini:growth:' || %(batch)s || n || ':ckpt-step-8', 8, '{}'
from wanted where n %% 2 = 0;

insert into tuned_models
    (id, created_at, project_id, failures, retries, job_id, credential_id, name, base_model)
select pg_temp.growth_id('model_', letters, %(batch)s, n), at, %(project)s, 0, 0, job_id, template.credential_id,
    'ft:gpt-4o-mini:growth:' || %(batch)s || n, template.model
from wanted, jobs template where template.id = %(job)s and n %% 2 = 0;

insert into ledger_entries
    (id, created_at, project_id, job_id, kind, amount, currency, line_item, reason, month, quantity)
select pg_temp.growth_id('entry_', letters, %(batch)s || kind, n), entered, %(project)s, job_id, kind, amount, 'USD',
    'gpt-4o-mini-2024-07-18, training', 'Written by the benchmark', date_trunc('month', at, 'UTC')::date, 1000
from wanted, lateral (values
    ('reserve', at, 0.5), ('release', at + interval '20 minutes', -0.5), ('settle', at + interval '20 minutes', 0.4)
) each (kind, entered, amount)
where kind <> 'settle' or wanted.status = 'succeeded';

insert into audit_logs (id, created_at, type, actor, api_key_id, project_id, resource_id, count, details)
select pg_temp.growth_id('audit_log-', letters, %(batch)s, n), at,
    case when is_rare then 'spend_limit.deleted' else 'fine_tuning.job.created' end,
    case when is_rare then 'operator' else 'api_key' end, case when not is_rare then %(key)s end,
    %(project)s, job_id, 1, '{}'
from wanted;

insert into webhook_events (id, created_at, project_id, type, object_id, data, is_test)
select pg_temp.growth_id('evt_', letters, %(batch)s || type, n), entered, %(project)s,
    case when is_rare and type like '%%created' then 'budget.threshold_reached' else type end, job_id,
    to_jsonb(template) || jsonb_build_object('id', job_id), false
from wanted, jobs template, lateral (values
    ('fine_tuning.job.created', at), ('fine_tuning.job.succeeded', at)
) each (type, entered)
where template.id = %(job)s;

insert into webhook_deliveries
    (id, created_at, project_id, failures, retries, event_id, endpoint_id, is_full, status, attempts, finished_at)
select delivery_id, at, %(project)s, 0, 0,
    pg_temp.growth_id('evt_', letters, %(batch)s || 'fine_tuning.job.created', n), %(endpoint)s, false,
    case when is_rare then 'failed' else 'succeeded' end, 1, at
from wanted;

insert into webhook_attempts
    (id, created_at, project_id, delivery_id, url, request_headers, response_status, duration_ms, finished_at)
select pg_temp.growth_id('att_', letters, %(batch)s, n), at, %(project)s, delivery_id, 'https://example.com/hooks', '{}', 200,
    30, at
from wanted;

insert into notifications
    (id, created_at, project_id, failures, retries, type, recipient, data, status, attempts, finished_at)
select pg_temp.growth_id('notification_', letters, %(batch)s, n), at, %(project)s, 0, 0, 'fine_tuning.job.failed',
    'team@example.com', jsonb_build_object('id', job_id), 'sent', 1, at
from wanted where n %% 10 = 0;

-- What the triggers would have written is added up anew, as the migration does it.
truncate daily_sums, daily_jobs, job_labels, project_storage;

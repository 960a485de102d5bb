-- An accrual counts in the sums of its day as long as it is there. When it becomes an entry of the ledger its deletion
-- takes out what the entry adds, in one transaction, so the sums are right at each moment.

create function tunery_add_accruals() returns trigger language plpgsql security definer as $$
declare
    its accruals;
    added numeric := 0;
    tokens bigint := 0;
begin
    if tg_op <> 'DELETE' then
        its := new;
        added := new.amount;
        tokens := new.quantity;
    end if;
    if tg_op <> 'INSERT' then
        its := old;
        added := added - old.amount;
        tokens := tokens - old.quantity;
    end if;
    insert into daily_sums as known (project_id, day, month, is_reserved, line_item, currency, amount, quantity)
    values (its.project_id, its.day, date_trunc('month', its.day)::date, false, its.line_item, 'USD', added, tokens)
    on conflict (project_id, day, month, is_reserved, line_item, currency) do update
    set amount = known.amount + excluded.amount,
        quantity = coalesce(known.quantity, 0) + excluded.quantity;
    return null;
end $$;

create trigger accruals_daily_sums after insert or update of amount, quantity or delete on accruals
    for each row execute function tunery_add_accruals();

do $$
begin
    execute format('alter function tunery_add_accruals() set search_path = %I, pg_temp', current_schema());
    revoke all on function tunery_add_accruals() from public;
end $$;

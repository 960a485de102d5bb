-- A chain for each project, and one for the entries without a project (''): writers of different projects do not wait for
-- each other, and two of one project wait only from the entry, which is written last, to the commit.

-- `shared/audit/chain.py` has the same expression: what it computes must not depend on a function of this database.
create function tunery_audit_hash(entry audit_logs) returns bytea language sql stable as $$
    select sha256(entry.previous_hash || convert_to(jsonb_build_array(
        entry.chain_position, entry.id, extract(epoch from entry.created_at), entry.type, entry.actor, entry.api_key_id,
        entry.project_id, entry.resource_id, entry.address, entry.request_id, entry.count, entry.details
    )::text, 'UTF8'))
$$;

-- Runs with the rights of the tables' owner: the roles that add entries cannot write the heads of the chains.
create function tunery_chain_audit_entry() returns trigger language plpgsql security definer as $$
begin
    insert into audit_chains as head (chain, entries, hash) values (coalesce(new.project_id, ''), 1, '')
    on conflict (chain) do update set entries = head.entries + 1
    returning entries, hash into new.chain_position, new.previous_hash;
    update audit_chains set hash = tunery_audit_hash(new) where chain = coalesce(new.project_id, '');
    return new;
end $$;

do $$
begin
    execute format('alter function tunery_chain_audit_entry() set search_path = %I, pg_temp', current_schema());
end $$;
revoke all on function tunery_chain_audit_entry() from public;

select tunery_protect('audit_chains', 'chain');
revoke all on audit_chains from tunery_app;
alter table audit_chains set (fillfactor = 50);  -- a head is updated in place with each entry


-- The entries of before. The table is locked by the new columns until the end of the migration.

alter table audit_logs disable trigger append_only;

do $$
declare
    entry audit_logs;
    head audit_chains;
begin
    for entry in select * from audit_logs order by coalesce(project_id, ''), id loop
        if head.chain is distinct from coalesce(entry.project_id, '') then
            if head.chain is not null then
                insert into audit_chains values (head.*);
            end if;
            head := (coalesce(entry.project_id, ''), 0, '', 0, '');
        end if;
        head.entries := head.entries + 1;
        entry.chain_position := head.entries;
        entry.previous_hash := head.hash;
        head.hash := tunery_audit_hash(entry);
        update audit_logs set chain_position = entry.chain_position, previous_hash = entry.previous_hash
        where id = entry.id;
    end loop;
    if head.chain is not null then
        insert into audit_chains values (head.*);
    end if;
end $$;

alter table audit_logs enable trigger append_only;

create trigger chained before insert on audit_logs for each row execute function tunery_chain_audit_entry();

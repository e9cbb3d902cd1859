-- API keys with a login of their own. What the target's code can reach, it reaches with the rights
-- of the session's login: what touches a target for such a key runs in a session that was logged
-- in as that login, and the service only keeps the books.

create or replace function sluice.check_key_login(p_login text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_above text;
begin
    if p_login is null then
        return;
    elsif p_login !~ '^[a-z_][a-z0-9_]{0,62}$' or not exists (
        select from pg_roles as r where r.rolname = p_login and r.rolcanlogin
    ) then
        raise exception 'there is no login %', quote_literal(left(p_login, 200)) using
            errcode = 'IO400', hint = 'create it first (a-z, 0-9 and _), with the grants it is to have';
    elsif not pg_has_role(p_login, 'sluice_login', 'usage') then
        raise exception 'login % may not carry out steps', quote_literal(p_login) using
            errcode = 'IO400', hint = format('grant sluice_login to %I', p_login);
    elsif not pg_has_role(p_login, 'usage') then
        raise exception '% could not cancel what login % does', current_user, quote_literal(p_login)
            using errcode = 'IO400', hint = format('grant %I to %I', p_login, current_user);
    end if;
    select r.rolname into v_above
    from pg_roles as r
    where
        pg_has_role(p_login, r.oid, 'member')
        and (
            r.rolsuper or r.rolbypassrls or r.rolreplication
            or r.rolname in ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
            or has_any_column_privilege(r.oid, 'sluice.job', 'select, insert, update')
            or has_schema_privilege(r.oid, 'sluice', 'create')
            or has_schema_privilege(r.oid, 'sluice_stage', 'create')
        )
    limit 1;
    if found then
        raise exception 'login % is no fence: it may become %', quote_literal(p_login),
            quote_literal(v_above) using
            errcode = 'IO400',
            hint = 'give one that can reach neither a superuser nor the tables of pgsluice';
    end if;
end;
$$;
comment on function sluice.check_key_login(text) is
'IO400 for a login that cannot do the work of a key, or that would be no fence.';

create or replace function sluice.key_login(p_key_id uuid)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select k.login from sluice.api_key as k where k.key_id = p_key_id;
end;
comment on function sluice.key_login(uuid) is
'The login in whose sessions the work of a key is done; null: in the service''s own.';

create or replace function sluice.serves(p_key_id uuid)
returns boolean
language sql stable
return p_key_id is null or not exists (
    select from sluice.api_key as k
    where k.key_id = p_key_id
        -- nothing at all, not even null, is in an empty list
        and k.login is not null
        and k.login <> all(string_to_array(sluice.setting('logins', ''), ','))
);
comment on function sluice.serves(uuid) is
'Whether this worker can do the work of a key: the key has no login, or SLUICE_LOGINS has that login
 (setting sluice.logins).';

create or replace function sluice.at_login(p_spec jsonb, p_login text)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_readable jsonb;
begin
    if p_login is null then
        return p_spec;
    end if;
    -- a table that the login may not read, or not see all of, is asked by the foreign key itself
    select coalesce(jsonb_agg(r order by (r ->> 'place')::integer), '[]') into v_readable
    from jsonb_array_elements(p_spec -> 'references') as r
    inner join pg_class as c on c.oid = to_regclass(r ->> 'target')
    where (r ->> 'is_self')::boolean
        or has_schema_privilege(p_login, c.relnamespace, 'usage') and not c.relrowsecurity
        and (
            select bool_and(has_column_privilege(p_login, c.oid, n.name, 'select'))
            from jsonb_array_elements_text(r -> 'target_columns') as n (name)
        );
    return p_spec || jsonb_build_object('login', p_login, 'references', v_readable) || case
        when p_spec ? 'children' then jsonb_build_object('children', (
            select coalesce(jsonb_agg(
                sluice.at_login(c, p_login) order by (c ->> 'place')::integer
            ), '[]')
            from jsonb_array_elements(p_spec -> 'children') as c
            where jsonb_typeof(c) = 'object'
        ))
        else '{}'
    end;
end;
$$;
comment on function sluice.at_login(jsonb, text) is
'The spec of an import whose statements run as a login: references to tables that it may not read
 are left to the write.';

create or replace function sluice.fence_up(p_reply jsonb, p_login text)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_fence constant bigint := hashtextextended('pgsluice fence ' || gen_random_uuid()::text, 0);
begin
    perform pg_advisory_xact_lock(v_fence);
    -- we wait in this transaction for as long as the login works
    perform set_config('idle_in_transaction_session_timeout', '0', true);
    return p_reply || jsonb_build_object('login', p_login, 'fence', v_fence::text);
end;
$$;
comment on function sluice.fence_up(jsonb, text) is
'What a session of a login is to do, with a lock that is held here: sluice.check_fence finds it, if
 that session is in this very database.';

create or replace function sluice.check_fence(login text, fence text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if session_user <> login then
        raise exception 'SLUICE_LOGINS has % log in as %', login, session_user using
            errcode = 'IO503', hint = 'mend its URL';
    elsif pg_try_advisory_xact_lock(fence::bigint) then
        raise exception 'SLUICE_LOGINS has % log in to another database', login using
            errcode = 'IO503', hint = 'mend its URL';
    end if;
end;
$$;
comment on function sluice.check_fence(text, text) is
'In a session of a login, before it does anything: IO503 if it is another login''s session, or one
 in another database.';

create or replace function sluice.tell_logins()
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now constant timestamptz := clock_timestamp();
    v_job record;
    v_failed integer := 0;
begin
    insert into sluice.login as l (name, seen_at)
    select s.name, v_now from unnest(string_to_array(sluice.setting('logins', ''), ',')) as s (name)
    order by s.name
    on conflict (name) do update set seen_at = v_now, missed_at = null;
    insert into sluice.login as l (name, missed_at)
    select w.login, v_now from sluice.waiting_logins() as w order by w.login
    on conflict (name) do update set missed_at = coalesce(l.missed_at, v_now);
    update sluice.login as l set missed_at = null
    where l.missed_at is not null
        and not exists (select from sluice.waiting_logins() as w where w.login = l.name);
    for v_job in
        select j.job_id, l.name
        from sluice.login as l
        inner join sluice.api_key as k on l.name = k.login
        inner join sluice.job as j on k.key_id = j.key_id
        where l.missed_at < v_now - interval '5 minutes' and j.state in ('pending', 'processing')
            and j.phase is distinct from 'fetch'
    loop
        if sluice.hold_job_alone(v_job.job_id) and exists (
            select from sluice.job as j where j.job_id = v_job.job_id and j.completed_at is null
        ) then
            perform sluice.fail_job(v_job.job_id, 'Nobody could carry it out', format(
                'no worker has had the login %s of this API key for 5 minutes: give the workers its '
                'URL (SLUICE_LOGINS), then retry the job', quote_literal(v_job.name)
            ));
            v_failed := v_failed + 1;
        end if;
    end loop;
    return jsonb_build_object('jobs without a login', v_failed);
end;
$$;
comment on function sluice.tell_logins() is
'Notes which logins this worker has, every 15 s; ends jobs for which no worker has had the login for
 5 minutes. Returns how many.';

create or replace function sluice.waiting_logins()
returns table (login text)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select distinct k.login
from sluice.job as j
inner join sluice.api_key as k on j.key_id = k.key_id
where j.state in ('pending', 'processing') and k.login is not null and not exists (
    select from sluice.login as l
    where l.name = k.login and l.seen_at > clock_timestamp() - interval '1 minute'
);
end;
comment on function sluice.waiting_logins() is
'The logins for which jobs wait though no worker has them.';

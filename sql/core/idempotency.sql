-- Idempotency-Key: a request that comes twice makes one job.
-- A row is written when the request begins, beaten while it uploads, and tied to its job by the
-- commit that accepts it.

create or replace function sluice.idempotency_name(p_key text)
returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_key constant text := case
        when p_key ~ '^".*"$' and length(p_key) > 1
            then replace(replace(substr(p_key, 2, length(p_key) - 2), '\"', '"'), '\\', '\')
        else p_key
    end;
begin
    if v_key is null or v_key !~ '^[ -~]{1,255}$' then
        raise exception 'Idempotency-Key cannot be %', coalesce(quote_literal(left(v_key, 300)), 'null')
            using errcode = 'IO400', hint = 'give 1 to 255 printable ASCII characters, such as a UUID';
    end if;
    return v_key;
end;
$$;
comment on function sluice.idempotency_name(text) is
'The key itself, bare or quoted as the header allows. IO400 for one that is empty, too long or not
 printable.';

create or replace function sluice.idempotency_scope(p_scope text)
returns text
language sql stable
return concat_ws(' ', nullif(current_setting('sluice.caller', true), ''), p_scope);
comment on function sluice.idempotency_scope(text) is
'Method and route, after the API key of the request if it has one.';

create or replace function sluice.idempotency_claim(key text, scope text)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    v_key constant text := sluice.idempotency_name(key);
    v_row sluice.idempotency;
begin
    scope := sluice.idempotency_scope(scope);
    -- a rival that claims it this moment: tell at once, do not wait for its commit
    if not pg_try_advisory_xact_lock(
        hashtextextended('pgsluice idempotency ' || length(scope) || scope || v_key, 0)
    ) then
        return '{"state": "receiving"}';
    end if;
    select i.* into v_row from sluice.idempotency as i where i.scope = scope and i.key = v_key;
    if v_row.state = 'done' then
        return jsonb_build_object(
            'state', 'done', 'digest', v_row.digest, 'status', v_row.status,
            'job', sluice.job_json(v_row.job_id)
        );
    elsif v_row.state is null then
        insert into sluice.idempotency as i (scope, key) values (scope, v_key)
        on conflict on constraint idempotency_pkey do nothing;
        return jsonb_build_object('state', case when found then 'new' else 'receiving' end);
    end if;
    -- its upload died: the next request takes over, unless it is being accepted right now
    update sluice.idempotency as i
    set created_at = clock_timestamp(), beat_at = clock_timestamp()
    from (
        select d.scope, d.key from sluice.idempotency as d
        where d.scope = scope and d.key = v_key and d.state = 'receiving'
            and d.beat_at < clock_timestamp() - interval '60 seconds'
        for update skip locked
    ) as dead
    where i.scope = dead.scope and i.key = dead.key;
    return jsonb_build_object('state', case when found then 'new' else 'receiving' end);
end;
$$;
comment on function sluice.idempotency_claim(text, text) is
'Claims a key for a request: {"state": "new"}, or "receiving" (another one is under way),
 or "done" with the digest, status and job of the first. A claim without a heartbeat for 60 s is free
 again. scope: method and route; those of each API key are
 its own.';

create or replace function sluice.idempotency_beat(key text, scope text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
    scope := sluice.idempotency_scope(scope);
    update sluice.idempotency as i set beat_at = clock_timestamp()
    where i.scope = scope and i.key = sluice.idempotency_name(key) and i.state = 'receiving';
end;
$$;
comment on function sluice.idempotency_beat(text, text) is
'Says that the request that claimed the key is still under way.';

create or replace function sluice.idempotency_release(key text, scope text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
    scope := sluice.idempotency_scope(scope);
    delete from sluice.idempotency as i
    where i.scope = scope and i.key = sluice.idempotency_name(key) and i.state = 'receiving';
end;
$$;
comment on function sluice.idempotency_release(text, text) is
'Frees a key whose request was refused: refusals are not stored.';

create or replace function sluice.idempotency_replied(key text, scope text, status integer)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
    scope := sluice.idempotency_scope(scope);
    update sluice.idempotency as i
    set status = status
    where i.scope = scope and i.key = sluice.idempotency_name(key) and i.state = 'done';
end;
$$;
comment on function sluice.idempotency_replied(text, text, integer) is
'Keeps the status of the first reply, where it is not 202: its client had waited for the end.';

create or replace function sluice.idempotency_store(
    key text, scope text, job_id uuid, digest text, status integer
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
    scope := sluice.idempotency_scope(scope);
    insert into sluice.idempotency as i (scope, key, state, job_id, digest, status)
    values (scope, sluice.idempotency_name(key), 'done', job_id, digest, status)
    on conflict on constraint idempotency_pkey do update
    set state = 'done', job_id = excluded.job_id, digest = excluded.digest, status = excluded.status
    where i.state = 'receiving';
    if not found then
        raise exception 'another request with this Idempotency-Key was accepted first' using
            errcode = 'IO409', hint = 'send it again to get that one''s job';
    end if;
end;
$$;
comment on function sluice.idempotency_store(text, text, uuid, text, integer) is
'Ties a key to its job, in the transaction that accepts it. IO409 when another request, which took
 the key over, was accepted first: nothing is accepted twice.';

create or replace function sluice.idempotency_holds(p_job_id uuid)
returns boolean
language sql stable
begin atomic
select count(*) > 0
from sluice.idempotency as i
where
    i.job_id = p_job_id
    and i.created_at > clock_timestamp() - coalesce(
        nullif(current_setting('sluice.idempotency_ttl', true), ''), '24 hours'
    )::interval;
end;
comment on function sluice.idempotency_holds(uuid) is
'Whether a key still needs the row of its job: keys live as long as it, at least
 sluice.idempotency_ttl (24 hours).';

-- What an API key may take: judged when it is made, and changed later.

create or replace function sluice.check_key_limits(
    p_rate integer, p_expires_at timestamptz, p_uploads integer, p_bytes bigint
)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_rate < 1 then
        raise exception 'rate_limit must be 1 or more requests a minute' using errcode = 'IO400';
    elsif p_uploads < 1 or p_bytes < 1 then
        raise exception 'max_uploads and max_bytes_per_day must be 1 or more' using
            errcode = 'IO400', hint = 'null is no limit';
    elsif p_expires_at <= clock_timestamp() then
        raise exception 'expires_at lies in the past' using
            errcode = 'IO400', hint = 'to end a key, revoke it';
    end if;
end;
$$;
comment on function sluice.check_key_limits(integer, timestamptz, integer, bigint) is
'IO400 for limits that a key cannot have.';

create or replace function sluice.update_api_key(name text, changes jsonb)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_key sluice.api_key;
    v_odd text;
begin
    select k.* into v_key from sluice.api_key as k
    where k.name = update_api_key.name and k.revoked_at is null
    for update;
    if not found then
        perform sluice.no_such_key(name);
    elsif jsonb_typeof(changes) is distinct from 'object' then
        raise exception 'changes must be an object' using
            errcode = 'IO400', hint = 'such as {"rate_limit": 60}';
    end if;
    select c into v_odd
    from jsonb_object_keys(changes - '{rate_limit,expires_at,max_uploads,max_bytes_per_day}'::text[]) as c
    limit 1;
    if found then
        raise exception '% of a key cannot be changed', quote_literal(left(v_odd, 200)) using
            errcode = 'IO400',
            hint = 'rate_limit, expires_at, max_uploads and max_bytes_per_day can; else make another key';
    end if;
    begin
        v_key := jsonb_populate_record(v_key, changes);
    exception when data_exception then
        raise exception 'a limit is not what it should be: %', sqlerrm using errcode = 'IO400';
    end;
    perform sluice.check_key_limits(
        v_key.rate_limit,
        -- one that has expired stays so, unless this is what is to change
        case when changes ? 'expires_at' then v_key.expires_at end,
        v_key.max_uploads, v_key.max_bytes_per_day
    );
    update sluice.api_key as k
    set
        rate_limit = v_key.rate_limit, expires_at = v_key.expires_at,
        max_uploads = v_key.max_uploads, max_bytes_per_day = v_key.max_bytes_per_day
    where k.key_id = v_key.key_id;
    return sluice.api_key_json(name);
end;
$$;
comment on function sluice.update_api_key(text, jsonb) is
'Changes limits of a key, from its next request on: rate_limit, expires_at, max_uploads and
 max_bytes_per_day; null takes one away, what is left out stays. Returns the key as it is listed.
   select sluice.update_api_key(''loader'', ''{"rate_limit": 60, "expires_at": null}'');
 IO400 for what cannot be, IO404 for an unknown or revoked key.';

-- Who asks: the key of the present request, and what it may do.

create or replace function sluice.count_request(p_caller text, p_limit integer)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now constant numeric := extract(epoch from clock_timestamp());
    v_minute constant bigint := floor(v_now / 60);
    v_requests integer;
begin
    if coalesce(p_limit, 0) = 0 then
        return '{}';
    end if;
    insert into sluice.rate as r (caller, minute, requests) values (p_caller, v_minute, 1)
    on conflict (caller) do update
    set
        minute = excluded.minute,
        requests = case when r.minute = excluded.minute then r.requests + 1 else 1 end
    returning r.requests into v_requests;
    return jsonb_build_object(
        'limit', p_limit, 'remaining', greatest(p_limit - v_requests, 0),
        'reset', ceil((v_minute + 1) * 60 - v_now), 'exceeded', v_requests > p_limit
    );
end;
$$;
comment on function sluice.count_request(text, integer) is
'Counts a request of a caller in this minute; {} without a limit.';

create or replace function sluice.admit(
    hash text default null, is_known boolean default false, rate_limit integer default 0
)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_key sluice.api_key;
    v_hash constant bytea := decode(hash, 'hex');
begin
    if hash is null then
        return jsonb_build_object('keys_exist', exists (select from sluice.api_key));
    elsif is_known then
        return jsonb_build_object(
            'caller', 'setting:' || left(hash, 16),
            'rate', sluice.count_request('setting:' || left(hash, 16), rate_limit)
        );
    end if;
    select k.* into v_key from sluice.api_key as k
    where k.hash = v_hash or (k.old_hash = v_hash and k.old_until > clock_timestamp());
    if not found or v_key.revoked_at is not null or v_key.expires_at <= clock_timestamp() then
        return '{"caller": null}';
    end if;
    if coalesce(v_key.last_used_at, '-infinity') < clock_timestamp() - interval '1 minute' then
        -- who holds the row is noting the same
        update sluice.api_key as k set last_used_at = clock_timestamp()
        from (
            select l.key_id from sluice.api_key as l
            where l.key_id = v_key.key_id
            for update skip locked
        ) as l
        where k.key_id = l.key_id;
    end if;
    return jsonb_build_object(
        'caller', v_key.key_id, 'key_id', v_key.key_id, 'name', v_key.name,
        'scopes', v_key.scopes, 'resources', v_key.resources, 'profile', v_key.profile,
        'login', v_key.login,
        'has_quota', v_key.max_uploads is not null or v_key.max_bytes_per_day is not null,
        'rate', sluice.count_request(
            v_key.key_id::text, coalesce(v_key.rate_limit, admit.rate_limit)
        )
    );
end;
$$;
comment on function sluice.admit(text, boolean, integer) is
'Who asks: the key with this sha256 (hex), counted against its rate. caller is null for one that is
 unknown, revoked or expired. is_known: a key of SLUICE_API_KEYS, only to be counted. Without a
 hash: whether there are keys at all.';

create or replace function sluice.present_key()
returns sluice.api_key
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select k from sluice.api_key as k
where k.key_id = nullif(current_setting('sluice.key', true), '')::uuid;
end;
comment on function sluice.present_key() is
'The key of the present request (setting sluice.key); null for the service itself and from psql.';

create or replace function sluice.as_key(p_reply jsonb, p_key_id uuid, p_resource text)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_role text;
    v_login text;
begin
    select k.role, k.login into v_role, v_login from sluice.api_key as k where k.key_id = p_key_id;
    p_reply := p_reply || jsonb_build_object(
        'role', coalesce(v_login, v_role),
        'search_path', (select r.search_path from sluice.resource as r where r.name = p_resource)
    );
    if v_login is not null then
        p_reply := sluice.fence_up(p_reply, v_login);
    end if;
    if coalesce(v_login, v_role) is not null then
        -- of a key with a login too: whoever runs the COPY here all the same reads no more than it
        perform set_config('role', coalesce(v_login, v_role), true);
    end if;
    return p_reply;
end;
$$;
comment on function sluice.as_key(jsonb, uuid, text) is
'Goes on under the role of a key, if it has one, to the end of the transaction: for the COPY that
 the reply describes. role, search_path: for one that is run elsewhere, after sluice.read_as there.
 login, fence: it is to be run in a session of that login, after sluice.check_fence and sluice.pin_output.';

create or replace function sluice.may_use(p_resource text)
returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- an export of several names them all
select (k.resources is null or string_to_array(p_resource, ',') <@ k.resources) is not false
from (select 1 as one) as o
left join sluice.api_key as k on k.key_id = nullif(current_setting('sluice.key', true), '')::uuid;
end;
comment on function sluice.may_use(text) is
'Whether the key of the present request may touch a resource.';

create or replace function sluice.may_request(p_request jsonb)
returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select coalesce(bool_and(sluice.may_use(n.name)), true)
from jsonb_each(p_request) as r
cross join lateral (
    select r.value #>> '{}' where jsonb_typeof(r.value) = 'string'
    union all
    select e #>> '{}'
    from jsonb_array_elements(
        case jsonb_typeof(r.value) when 'array' then r.value else '[]' end
    ) as e
) as n (name)
where replace(lower(r.key), '_', '') in ('resource', 'resources', 'resourcetype');
end;
comment on function sluice.may_request(jsonb) is
'Whether the key of the present request may touch all resources that a request names.';

create or replace function sluice.check_scope(p_scope text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_key constant sluice.api_key := sluice.present_key();
begin
    if not v_key.scopes && array[p_scope, 'admin'] then
        raise exception 'this API key may not %', p_scope using
            errcode = 'IO403', hint = format('it may %s', array_to_string(v_key.scopes, ', '));
    end if;
end;
$$;
comment on function sluice.check_scope(text) is
'IO403 when the key of the present request lacks a scope.';

create or replace function sluice.go_on_for(p_key_id uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_key sluice.api_key;
begin
    select k.* into v_key from sluice.api_key as k where k.key_id = p_key_id;
    if v_key.revoked_at is not null or v_key.expires_at <= clock_timestamp() then
        raise exception 'API key %, for which this was to run, is revoked or expired',
            quote_literal(v_key.name) using
            errcode = 'IO403', hint = 'make it again with a key that is good';
    end if;
    perform set_config('sluice.key', coalesce(p_key_id::text, ''), true);
end;
$$;
comment on function sluice.go_on_for(uuid) is
'What follows in this transaction is done for a key, as if a request had come with it. IO403 when
 the key is good no more.';

create or replace function sluice.check_resource(p_resource text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if not sluice.may_use(p_resource) then
        raise exception 'this API key may not use resource %', quote_literal(p_resource) using
            errcode = 'IO403', hint = format(
                'it is for %s', array_to_string((sluice.present_key()).resources, ', ')
            );
    end if;
end;
$$;
comment on function sluice.check_resource(text) is
'IO403 when the key of the present request may not touch the resource.';

create or replace function sluice.key_role(p_key_id uuid)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select k.role from sluice.api_key as k where k.key_id = p_key_id;
end;
comment on function sluice.key_role(uuid) is
'The database role that the work of a key runs under; null: the service''s own.';

-- API keys: making them, and what the key of the present request may do.

create or replace function sluice.new_secret()
returns text
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
-- two random UUIDs: 244 bits from the system's own generator
select 'slk_' || translate(encode(
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64'
), '+/=', '-_');
end;
comment on function sluice.new_secret() is 'A new API key, slk_ and 43 characters.';

create or replace function sluice.key_hash(p_key text)
returns bytea
language sql immutable parallel safe
return sha256(convert_to(p_key, 'UTF8'));
comment on function sluice.key_hash(text) is 'What is kept of an API key.';

create or replace function sluice.check_key_role(p_role text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_role is null then
        return;
    elsif not exists (select from pg_roles as r where r.rolname = p_role) then
        raise exception 'role % does not exist', quote_literal(p_role) using
            errcode = 'IO400', hint = 'create it first, with the grants it is to have';
    elsif not pg_has_role(p_role, 'member') then
        raise exception '% may not become role %', current_user, quote_literal(p_role) using
            errcode = 'IO400', hint = format('grant %I to %I', p_role, current_user);
    elsif exists (
        select from pg_roles as r
        where r.rolname = p_role and (r.rolsuper or r.rolbypassrls)
    ) then
        raise exception 'role % stands above row level security', quote_literal(p_role) using
            errcode = 'IO400', hint = 'give a role without superuser and bypassrls';
    end if;
end;
$$;
comment on function sluice.check_key_role(text) is
'IO400 for a role that the work of a key cannot run under.';

create or replace function sluice.create_api_key(
    name text,
    scopes text[] default '{import,export}',
    resources text[] default null,
    role text default null,
    profile text default null,
    rate_limit integer default null,
    expires_at timestamptz default null,
    max_uploads integer default null,
    max_bytes_per_day bigint default null,
    login text default null
)
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    v_key constant text := sluice.new_secret();
    v_bad text;
begin
    if name is null or name !~ '^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,99}$' then
        raise exception 'a key cannot be named %', coalesce(
            quote_literal(left(name, 200)), 'null'
        ) using
            errcode = 'IO400',
            hint = 'give 1 to 100 letters, digits, spaces and . _ @ -, a letter or digit first';
    elsif coalesce(cardinality(scopes), 0) = 0 or not scopes <@ '{import,export,admin}' then
        raise exception 'scopes cannot be %', coalesce(quote_literal(scopes::text), 'null') using
            errcode = 'IO400', hint = 'they are one or more of import, export, admin';
    elsif profile not in ('realworld', 'nest') then
        raise exception 'unknown profile %', quote_literal(left(profile, 200)) using
            errcode = 'IO400',
            hint = 'profiles are realworld and nest; leave it out for the default';
    end if;
    perform sluice.check_key_limits(rate_limit, expires_at, max_uploads, max_bytes_per_day);
    select r into v_bad from unnest(resources) as r
    where not exists (select from sluice.resource as e where e.name = r)
    limit 1;
    if found then
        raise exception 'unknown resource %', coalesce(quote_literal(v_bad), 'null') using
            errcode = 'IO400', hint = 'select name from sluice.resource shows which there are';
    end if;
    if role is not null and login is not null then
        raise exception 'a key has a role or a login, not both' using
            errcode = 'IO400', hint = 'a login is a role: grant it what it is to have';
    end if;
    perform sluice.check_key_role(role);
    perform sluice.check_key_login(login);
    insert into sluice.api_key as k (
        key_id, name, hash, hint, scopes, resources, role, profile, rate_limit, expires_at,
        max_uploads, max_bytes_per_day, login
    )
    values (
        sluice.uuid_v7(), name, sluice.key_hash(v_key), left(v_key, 8), scopes,
        nullif(resources, '{}'), role, profile, rate_limit, expires_at,
        max_uploads, max_bytes_per_day, login
    )
    on conflict on constraint api_key_name_key do nothing;
    if not found then
        raise exception 'there is a key named % already', quote_literal(name) using
            errcode = 'IO409', hint = 'choose another name, or rotate that one';
    end if;
    return v_key;
end;
$$;
comment on function sluice.create_api_key(
    text, text[], text[], text, text, integer, timestamptz, integer, bigint, text
) is
'Makes an API key and returns it, this once: only its hash is kept. scopes: import, export, admin
 (keys and everything else). resources: those it may touch; null: all. role: the database role under which its rows are written and exported, so that GRANT and row level security bind; the
 service must be a member of it. login: the login of Postgres in whose own sessions that is done, so that
 triggers and other code of the tables have its rights and no way to the service''s; it is a member of
 sluice_login, the service one of it, and SLUICE_LOGINS has its URL. profile: realworld or nest, the reply shape of an earlier system.
 rate_limit: requests a minute. max_uploads: at once. max_bytes_per_day: that its imports,
 unpacked, and its files of exports may store. From the first key on, every request needs one.
   select sluice.create_api_key(''loader'', ''{import}'', ''{users}'');
 IO400 for what cannot be, IO409 for a name that is taken.';

create or replace function sluice.no_such_key(p_name text)
returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'there is no key named %', coalesce(quote_literal(p_name), 'null') using
        errcode = 'IO404', hint = 'select name from sluice.api_keys shows which there are';
end;
$$;
comment on function sluice.no_such_key(text) is 'IO404 for a name that no key has.';

create or replace function sluice.rotate_api_key(name text, overlap interval default '24 hours')
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_key constant text := sluice.new_secret();
begin
    update sluice.api_key as k
    set
        hash = sluice.key_hash(v_key),
        hint = left(v_key, 8),
        old_hash = case when overlap > interval '0' then k.hash end,
        old_until = case when overlap > interval '0' then clock_timestamp() + overlap end
    where k.name = rotate_api_key.name and k.revoked_at is null;
    if not found then
        perform sluice.no_such_key(name);
    end if;
    return v_key;
end;
$$;
comment on function sluice.rotate_api_key(text, interval) is
'Gives a key a new secret and returns it, this once; the old one works for the overlap (0: not at
 all). IO404 for an unknown or revoked key.';

create or replace function sluice.revoke_api_key(name text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    -- the row stays: jobs refer to it, and a service with revoked keys is not open to all
    update sluice.api_key as k
    set revoked_at = coalesce(k.revoked_at, clock_timestamp()), old_hash = null, old_until = null
    where k.name = revoke_api_key.name;
    if not found then
        perform sluice.no_such_key(name);
    end if;
end;
$$;
comment on function sluice.revoke_api_key(text) is
'Ends a key, at once; jobs that it began go on. IO404 for an unknown one.';

create or replace view sluice.api_keys as
select
    k.name, k.hint, k.scopes, k.resources, k.role, k.login, k.profile, k.rate_limit,
    k.max_uploads, k.max_bytes_per_day, k.created_at, k.last_used_at, k.expires_at, k.revoked_at,
    case
        when k.revoked_at is not null then 'revoked'
        when k.expires_at <= clock_timestamp() then 'expired'
        else 'active'
    end as state
from sluice.api_key as k;
comment on view sluice.api_keys is 'The API keys, without their hashes.';

create or replace function sluice.api_key_json(p_name text)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select to_jsonb(k) || jsonb_build_object(
    'created_at', sluice.utc(k.created_at), 'last_used_at', sluice.utc(k.last_used_at),
    'expires_at', sluice.utc(k.expires_at), 'revoked_at', sluice.utc(k.revoked_at)
)
from sluice.api_keys as k
where k.name = p_name;
end;
comment on function sluice.api_key_json(text) is 'An API key as the API lists it; null: none.';

create or replace function sluice.api_keys_json()
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select coalesce(jsonb_agg(sluice.api_key_json(k.name) order by k.created_at), '[]')
from sluice.api_keys as k;
end;
comment on function sluice.api_keys_json() is 'The API keys as the API lists them.';

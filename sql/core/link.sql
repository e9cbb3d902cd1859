-- Links to files of exports that carry their own permission: a MAC over the job's id.

create or replace function sluice.hmac_sha256(p_key bytea, p_message bytea)
returns bytea
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
-- RFC 2104; pgcrypto has it too, but may not be there. Exclusive or: either less both.
select sha256(k.outer_key || sha256(k.inner_key || p_message))
from (
    select
        string_agg(set_byte('\x00', 0, (b.byte | 92) - (b.byte & 92)), ''::bytea order by b.i)
            as outer_key,
        string_agg(set_byte('\x00', 0, (b.byte | 54) - (b.byte & 54)), ''::bytea order by b.i)
            as inner_key
    from (
        select i, case when i < octet_length(p_key) then get_byte(p_key, i) else 0 end as byte
        from generate_series(0, 63) as i
    ) as b
) as k;
end;
comment on function sluice.hmac_sha256(bytea, bytea) is
'HMAC-SHA-256, for keys of at most 64 bytes.';

create or replace function sluice.link_secret()
returns bytea
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_secret bytea;
begin
    select l.secret into v_secret from sluice.link_secret as l;
    if v_secret is null then
        insert into sluice.link_secret as l (secret)
        values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())))
        on conflict (is_only) do update set secret = l.secret
        returning l.secret into v_secret;
    end if;
    return v_secret;
end;
$$;
comment on function sluice.link_secret() is
'The secret behind links that carry their own permission; made at its first use. Delete its row and
 all links given so far are void.';

create or replace function sluice.link_token(p_job_id uuid)
returns text
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
select translate(encode(sluice.hmac_sha256(
    sluice.link_secret(), convert_to('download ' || p_job_id, 'UTF8')
), 'base64'), '+/=', '-_');
end;
comment on function sluice.link_token(uuid) is
'What a link to the file of an export carries instead of a key; void when the file expires.';

create or replace function sluice.with_link(p_job_id uuid, p_url text)
returns text
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
select p_url || case when strpos(p_url, '?') > 0 then '&' else '?' end || 'token='
    || sluice.link_token(p_job_id);
end;
comment on function sluice.with_link(uuid, text) is
'The address of a file of an export with its token; null without an address.';

create or replace function sluice.link_holds(job_id uuid, token text)
returns boolean
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
-- digests are compared, so that the time it takes tells nothing
select coalesce(
    sha256(convert_to(token, 'UTF8'))
    = sha256(convert_to(sluice.link_token(link_holds.job_id), 'UTF8')), false
);
end;
comment on function sluice.link_holds(uuid, text) is
'Whether a token is the one of this export.';

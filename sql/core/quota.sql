-- Quotas of API keys: uploads at once, and bytes a day, right across all processes.

create or replace function sluice.refuse_bytes(p_used bigint, p_more bigint, p_most bigint)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now constant timestamp := clock_timestamp() at time zone 'UTC';
    v_left constant bigint := greatest(p_most - p_used, 0);
    v_wait constant integer := ceil(extract(
        epoch from date_trunc('day', v_now) + interval '1 day' - v_now
    ));
begin
    if p_used + p_more > p_most then
        raise exception 'this API key may store % bytes a day, unpacked, of which % are left',
            p_most, v_left using
            errcode = 'IO429', detail = v_wait,
            hint = 'send less, or come back after midnight UTC';
    end if;
end;
$$;
comment on function sluice.refuse_bytes(bigint, bigint, bigint) is
'IO429 when so many more bytes are too many for the day.';

create or replace function sluice.check_bytes(p_bytes bigint default 1)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
select sluice.refuse_bytes(
    case when q.day = (clock_timestamp() at time zone 'UTC')::date then q.bytes else 0 end,
    p_bytes, k.max_bytes_per_day
)
from sluice.api_key as k
left join sluice.quota as q on q.key_id = k.key_id
where k.key_id = (sluice.present_key()).key_id and k.max_bytes_per_day is not null;
end;
comment on function sluice.check_bytes(bigint) is
'IO429 when the key of the present request has no room for so many bytes today, as far as they are
 known.';

create or replace function sluice.upload_begin(bytes bigint default null)
returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_key constant sluice.api_key := sluice.present_key();
    v_upload_id uuid;
begin
    if bytes is not null then
        perform sluice.check_bytes(bytes);
    end if;
    if v_key.max_uploads is null then
        return null;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('pgsluice uploads ' || v_key.key_id, 0));
    delete from sluice.upload as u
    where u.key_id = v_key.key_id and u.heartbeat_at < clock_timestamp() - interval '60 seconds';
    insert into sluice.upload as u (upload_id, key_id)
    select sluice.uuid_v7(), v_key.key_id
    from sluice.upload as o where o.key_id = v_key.key_id
    having count(*) < v_key.max_uploads
    returning u.upload_id into v_upload_id;
    if v_upload_id is null then
        raise exception 'this API key may have % uploads under way at once, and has', v_key.max_uploads
            using errcode = 'IO429', detail = 2, hint = 'try again when one has ended';
    end if;
    return v_upload_id;
end;
$$;
comment on function sluice.upload_begin(bigint) is
'A place for an upload of the key of the present request, to be given back by upload_end; null when
 it needs none. bytes: as many as are known to come; null: the caller counts them. IO429 when the key has no place left, or has
 stored too many bytes today; the detail is how many seconds to wait.';

create or replace function sluice.upload_beat(upload_id uuid)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
update sluice.upload as u set heartbeat_at = clock_timestamp()
where u.upload_id = upload_beat.upload_id;
end;
comment on function sluice.upload_beat(uuid) is
'Says that an upload is still under way; without a sign for 60 s its place is free.';

create or replace function sluice.upload_end(upload_id uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from sluice.upload as u where u.upload_id = upload_end.upload_id;
end;
$$;
comment on function sluice.upload_end(uuid) is 'Gives the place of an upload back.';

create or replace function sluice.count_bytes(
    p_key_id uuid, p_bytes bigint, p_refuse boolean default true
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_today constant date := clock_timestamp() at time zone 'UTC';
    v_most bigint;
    v_used bigint;
begin
    if p_key_id is null or p_bytes = 0 then
        return;
    end if;
    select k.max_bytes_per_day into v_most from sluice.api_key as k where k.key_id = p_key_id;
    if v_most is null then
        return;
    end if;
    insert into sluice.quota as q (key_id, day, bytes) values (p_key_id, v_today, p_bytes)
    on conflict (key_id) do update
    set
        day = excluded.day,
        bytes = case when q.day = excluded.day then q.bytes else 0 end + excluded.bytes
    returning q.bytes into v_used;
    if p_refuse then
        perform sluice.refuse_bytes(v_used - p_bytes, p_bytes, v_most);
    end if;
end;
$$;
comment on function sluice.count_bytes(uuid, bigint, boolean) is
'Counts bytes that work for a key has stored, whatever becomes of them, in the transaction that
 stores them. IO429, so that nothing is stored, when the day has no room for them; p_refuse false:
 they are there already, and only the next ones are refused.';

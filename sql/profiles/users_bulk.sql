-- System A: POST /api/users/bulk. Up to 10,000 users, all or none; X-Request-ID is the key.

create or replace function sluice.bulk_fault(p_body text)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_users integer;
    v_fault text;
begin
    if p_body is json array is not true then
        return 'the body must be a JSON array of users: [{"name": …, "email": …}]';
    end if;
    v_users := json_array_length(p_body::json);
    if v_users not between 1 and 10000 then
        return format('the array must hold 1 to 10,000 users, not %s', v_users);
    end if;
    -- what the table's own rules cannot see: the shape that this call has always had
    select format('record at index %s: %s', e.place - 1, f.fault) into v_fault
    from json_array_elements(p_body::json) with ordinality as e (item, place)
    cross join lateral (
        select case when pg_input_is_valid(e.item::text, 'jsonb') then e.item::text::jsonb end as doc
    ) as d
    cross join lateral (
        select case
            when d.doc is null then 'it is no JSON that Postgres can hold'
            when jsonb_typeof(d.doc) <> 'object' then 'it must be an object {name, email, metadata?}'
            when d.doc - '{name,email,metadata}'::text[] <> '{}' then (
                select format('%s is no key of a user: name, email and metadata are', to_jsonb(k.name))
                from jsonb_object_keys(d.doc - '{name,email,metadata}'::text[]) as k (name)
                order by k.name
                limit 1
            )
            when d.doc ->> 'name' is null then 'name is required'
            when d.doc ->> 'email' is null then 'email is required'
            when jsonb_typeof(d.doc -> 'name') <> 'string' then 'name must be a string'
            when jsonb_typeof(d.doc -> 'email') <> 'string' then 'email must be a string'
            when d.doc -> 'metadata' = 'null' then 'metadata must be an object, or be left out'
        end as fault
    ) as f
    where f.fault is not null
    order by e.place
    limit 1;
    return v_fault;
exception when statement_too_complex then
    return 'the body is nested deeper than Postgres can read: flatten it';
end;
$$;
comment on function sluice.bulk_fault(text) is
'What is wrong with the shape of a POST /api/users/bulk, naming the index; null: nothing.';

create or replace function sluice.bulk_stage(p_body text, p_shape text, p_state text)
returns sluice.job
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
begin
    insert into sluice.job (
        job_id, resource, format, shape, header, state, received, bytes, options, sessions, release
    )
    values (
        sluice.uuid_v7(), 'users', 'json', p_shape,
        case when p_shape = 'cells' then '{name,email,metadata}'::text[] end, p_state,
        json_array_length(p_body::json), octet_length(p_body),
        '{"atomic": true, "match": ["email"], "defaults": {"role": "reader"}}', 1, sluice.release()
    )
    returning * into v_job;
    perform sluice.create_stage_table(v_job);
    -- metadata that is left out is null, in rows that are there already too
    execute format(
        case p_shape
            when 'cells' then $sql$
                -- rows are locked in one order, whoever sends them: no rings among these calls
                insert into %s (c1, c2, c3, _line_no)
                select d.doc ->> 'name', d.doc ->> 'email', (d.doc -> 'metadata')::text, d.place
                from (
                    select e.item::text::jsonb as doc, e.place - 1 as place
                    from json_array_elements($1) with ordinality as e (item, place)
                ) as d
                order by d.doc ->> 'email' collate "C", d.place
            $sql$
            else $sql$
                insert into %s (line, _line_no)
                select '{"metadata": null}'::jsonb || e.item::text::jsonb, e.place
                from json_array_elements($1) with ordinality as e (item, place)
                order by e.place
            $sql$
        end,
        sluice.stage_name(v_job.job_id)
    ) using p_body::json;
    return v_job;
end;
$$;
comment on function sluice.bulk_stage(text, text, text) is
'A job of POST /api/users/bulk with its stage filled: cells, to be carried out here, with the index
 of each record as its line; or line, for a worker.';

create or replace function sluice.bulk_refusal(p_job sluice.job)
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_reject record;
    v_first bigint;
begin
    select r.line, r.cells[2] as email, r.errors -> 0 as error,
        (
            select string_agg(
                concat_ws(' ', e.item ->> 'field', e.item ->> 'message'), '; ' order by e.place
            )
            from jsonb_array_elements(r.errors) with ordinality as e (item, place)
        ) as errors
    into v_reject
    from sluice.reject as r
    where r.job_id = p_job.job_id
    order by r.line
    limit 1;
    if not found then
        return p_job.error ->> 'detail';
    elsif v_reject.error ->> 'code' = 'duplicate' then
        execute format(
            'select min(s._line_no) from %s as s where s.c2 = $1',
            sluice.stage_name(p_job.job_id)
        ) into v_first using v_reject.email;
        v_reject.errors := format('email is that of the record at index %s too', v_first);
    end if;
    return format('record at index %s: %s', v_reject.line, v_reject.errors) || case
        when p_job.rejected > 1 then format(' (and %s more)', p_job.rejected - 1)
        else ''
    end;
end;
$$;
comment on function sluice.bulk_refusal(sluice.job) is
'Why an import of POST /api/users/bulk wrote nothing: the first invalid record, by its index.';

create or replace function sluice.bulk_import(p_body text)
returns sluice.job
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_until constant timestamptz := clock_timestamp() + interval '30 seconds';
    v_try integer := 0;
    v_races integer := 0;
begin
    loop
        v_try := v_try + 1;
        begin
            if v_try > 1 then
                -- the steps of a large import follow one another, each with rows that are wanted here
                perform sluice.close_gate('users');
            end if;
            v_job := sluice.bulk_stage(p_body, 'cells', 'pending');
            -- five races lost for the same rows: it may be something else; name the record then
            v_job := sluice.import_now(v_job.job_id, v_races < 5);
            if v_job.state = 'failed' then
                raise exception '%', sluice.bulk_refusal(v_job) using errcode = 'IO400';
            end if;
            return v_job;
        exception
            when unique_violation or sqlstate '40002' then
                v_races := v_races + 1;
            when lock_not_available or deadlock_detected or serialization_failure then
                null;
        end;
        if clock_timestamp() > v_until then
            raise exception 'other writers hold these users for more than 30 seconds' using
                errcode = 'IO503', hint = 'nothing was written: send it again later';
        end if;
        perform pg_sleep(random() * least(0.01 * 2 ^ v_try, 0.25));
    end loop;
end;
$$;
comment on function sluice.bulk_import(text) is
'Imports the users of a POST /api/users/bulk in the caller''s transaction, all or none. What other
 writers stand in the way of is tried again, for 30 s: IO503. IO400 names the index of an invalid
 record.';

create or replace function sluice.bulk_json(p_job sluice.job, p_request_id text)
returns jsonb
language sql stable
return jsonb_build_object(
    'requestId', p_request_id,
    'id', p_job.job_id,
    'status', p_job.state,
    'summary', jsonb_build_object(
        'total', p_job.received,
        'inserted', p_job.inserted,
        'updated', p_job.updated + p_job.unchanged
    )
);
comment on function sluice.bulk_json(sluice.job, text) is
'A job in the shape of POST /api/users/bulk: updated counts every user that was there already.';

create or replace function sluice.bulk_repeat(p_scope text, p_key text, p_digest text)
returns sluice.job
language plpgsql volatile
-- longer than the first may take
set lock_timeout = '35s'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_row sluice.idempotency;
    v_job sluice.job;
begin
    -- a simultaneous repeat waits here for the end of the first
    perform pg_advisory_xact_lock(
        hashtextextended('pgsluice idempotency ' || length(p_scope) || p_scope || p_key, 0)
    );
    select i.* into v_row from sluice.idempotency as i where i.scope = p_scope and i.key = p_key;
    if not found then
        return null;
    end if;
    select j.* into v_job from sluice.job as j where j.job_id = v_row.job_id;
    if v_job.state in ('failed', 'cancelled') then
        delete from sluice.idempotency as i where i.scope = p_scope and i.key = p_key;
        return null;
    elsif v_row.digest <> p_digest then
        raise exception 'this X-Request-ID was used for other users' using
            errcode = 'IO422', hint = 'send a new one';
    end if;
    return v_job;
end;
$$;
comment on function sluice.bulk_repeat(text, text, text) is
'The job that an earlier request with this key has made; null for a new key, or when it failed.
 Waits for one that is under way. IO422 when it had another payload.';

create or replace function sluice.bulk_users(
    request_id text, body text, queued boolean default false
)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_route constant text := 'POST users/bulk';
    v_key constant text := lower(request_id);
    v_fault text;
    v_digest text;
    v_job sluice.job;
begin
    perform sluice.check_scope('import');
    perform sluice.check_resource('users');
    if v_key is null or v_key !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        raise exception 'X-Request-ID must be a UUID' using
            errcode = 'IO400', hint = 'leave it out to have one made';
    end if;
    v_fault := sluice.bulk_fault(body);
    if v_fault is not null then
        raise exception '%', v_fault using errcode = 'IO400';
    end if;
    -- the same document in another layout is the same
    v_digest := encode(sha256(convert_to(body::jsonb::text, 'UTF8')), 'hex');
    v_job := sluice.bulk_repeat(sluice.idempotency_scope(v_route), v_key, v_digest);
    if v_job.job_id is not null then
        return sluice.bulk_json(v_job, request_id) || '{"duplicate": true}';
    end if;
    perform sluice.check_bytes(octet_length(body));
    if not queued and (sluice.present_key()).login is not null then
        raise exception 'users of an API key with a login of its own are not written while you wait' using
            errcode = 'IO403', hint = 'have them queued (ENABLE_QUEUE), or post them to the imports';
    elsif queued then
        v_job := sluice.bulk_stage(body, 'line', 'receiving');
        v_job := sluice.accept_import(v_job.job_id, null, '{}', v_job.received, v_job.bytes);
        perform sluice.enqueue_wakeup();
    else
        v_job := sluice.bulk_import(body);
    end if;
    perform sluice.count_bytes(v_job.key_id, v_job.bytes);
    perform sluice.idempotency_store(
        v_key, v_route, v_job.job_id, v_digest, case when queued then 202 else 200 end
    );
    return sluice.bulk_json(v_job, request_id);
end;
$$;
comment on function sluice.bulk_users(text, text, boolean) is
'POST /api/users/bulk: body is the JSON array. The reply in that system''s shape, with "duplicate"
 when this request_id has been carried out before. Writes all users or none, in the caller''s
 transaction; queued: only makes the job, for a worker. IO400 names the index of an invalid record,
 IO403 for a key that may not, IO422 for an id with another payload, IO503 when other writers do not
 let go within 30 s.';

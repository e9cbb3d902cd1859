-- Exports that run later: a request becomes a job that a worker carries out.

create or replace function sluice.check_request(p_request jsonb)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_resource text;
    v_query text;
    v_plan json;
    v_rows numeric := 0;
begin
    for v_resource in select jsonb_array_elements_text(p_request -> 'resources') loop
        v_query := sluice.export_part(p_request, v_resource) ->> 'query';
        -- planning runs code of the table (policies): of a key with a login not here
        continue when (sluice.present_key()).login is not null;
        execute 'explain (format json) ' || v_query into v_plan;
        v_rows := v_rows + (v_plan #>> '{0,Plan,Plan Rows}')::numeric;
    end loop;
    return v_rows;
end;
$$;
comment on function sluice.check_request(jsonb) is
'Judges the request of an export by making its queries; about how many rows they will have. IO400.';

create or replace function sluice.new_export(p_request jsonb, p_parent uuid)
returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id constant uuid := sluice.uuid_v7();
    v_rows constant bigint := sluice.check_request(p_request);
begin
    insert into sluice.job (
        job_id, kind, resource, format, file_name, state, accepted, options, callback_url,
        parent_job_id, release, metrics, swept
    )
    values (
        v_id, 'export',
        (select string_agg(r, ',') from jsonb_array_elements_text(p_request -> 'resources') as r),
        p_request ->> 'format',
        (sluice.export_files(p_request) -> 0 ->> 'name'),
        'pending', nextval('sluice.acceptance'), p_request, p_request ->> 'callback_url',
        p_parent, sluice.release(), jsonb_build_object('expected', v_rows), true
    );
    perform sluice.announce('work');
    return v_id;
end;
$$;
comment on function sluice.new_export(jsonb, uuid) is
'A job that waits to be exported, by its canonical request. IO400.';

create or replace function sluice.export_create(
    resources text[] default null,
    format text default null,
    request jsonb default '{}',
    digest text default null,
    idempotency_key text default null,
    idempotency_scope text default null
)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id constant uuid := sluice.new_export(
        sluice.export_request(resources, format, request), null
    );
begin
    perform sluice.check_bytes();
    if idempotency_key is not null then
        perform sluice.idempotency_store(idempotency_key, idempotency_scope, v_id, digest, 202);
    end if;
    return sluice.job_json(v_id);
end;
$$;
comment on function sluice.export_create(text[], text, jsonb, text, text, text) is
'Has a worker export resources to the file store, all in one snapshot, and returns the job.
 resources and format may also stand in the request: {"resource" or "resources", "format", "fields",
 "filters", "order", "limit", "include", "compression": none, gzip or zstd, "expires_in": seconds,
 "callback_url", "delimiter", "null", "header", "escape_formulas"}. Several resources leave as a zip
 ("archive": "none": a file each), closed: rows that refer to rows left out stay out too ("closed":
 false: they do not); their fields, filters, order and include are objects by resource. IO400.';

create or replace function sluice.export_submit(
    resource text,
    format text default 'ndjson',
    fields text[] default null,
    filters jsonb default '{}',
    ordering text[] default null,
    "limit" bigint default null,
    include text[] default null,
    options jsonb default '{}'
)
returns jsonb
language sql volatile
begin atomic
select sluice.export_create(array[resource], format, options || jsonb_strip_nulls(
    jsonb_build_object(
        'fields', to_jsonb(fields), 'filters', filters, 'order', to_jsonb(ordering),
        'limit', "limit", 'include', to_jsonb(include)
    )
));
end;
comment on function sluice.export_submit(
    text, text, text[], jsonb, text[], bigint, text[], jsonb
) is
'Has a worker export a resource to the file store, and returns the job. Parameters as of
 sluice.export_sql; options: compression, expires_in, callback_url, delimiter, null, header,
 escape_formulas; sluice.export_create takes several resources.
   select sluice.export_submit(''users'', ''csv'', filters => ''{"active": true}'');
   select * from sluice.jobs where kind = ''export'' order by created_at desc;
 IO400.';

create or replace function sluice.retry_export(p_job_id uuid)
returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.visible_job(p_job_id);
begin
    if v_job.kind <> 'export' then
        raise exception 'job % is no export', p_job_id using errcode = 'IO409';
    elsif v_job.completed_at is null then
        raise exception 'export % is still %', p_job_id, v_job.state using
            errcode = 'IO409', hint = 'wait for its end, or cancel it';
    end if;
    return sluice.new_export(v_job.options, p_job_id);
end;
$$;
comment on function sluice.retry_export(uuid) is
'Exports the same again in a new job, linked to the old one, which must have ended. IO404, IO409.';

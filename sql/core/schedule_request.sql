-- What a schedule asks for: judged when it is made, carried out when it is fired.

create or replace function sluice.import_request(p_request jsonb)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_asked jsonb;
    v_source jsonb;
    v_own constant text[] := '{resource,url,source_path,object,format,file_name}';
begin
    select coalesce(jsonb_object_agg(case f.name
        when 'resource_type' then 'resource'
        when 'file_url' then 'url'
        when 'filename' then 'file_name'
        when 'parent_id' then 'parent'
        when 'parent_job_id' then 'parent'
        else f.name
    end, r.value), '{}') into v_asked
    from jsonb_each(p_request) as r
    cross join lateral (select sluice.fold_name(r.key) as name) as f
    where r.value <> 'null';
    if v_asked ->> 'resource' is null then
        raise exception 'the import says no resource' using
            errcode = 'IO400', hint = 'add "resource"; the list of resources shows the names';
    end if;
    select coalesce(jsonb_object_agg(s.key, s.value), '{}') into v_source
    from jsonb_each(v_asked) as s
    where s.key in ('url', 'source_path', 'object');
    return jsonb_build_object(
        'resource', sluice.table_spec(v_asked ->> 'resource') ->> 'resource',
        'source', sluice.check_source(v_source),
        'format', case when v_asked ? 'format' then sluice.check_file_format(v_asked ->> 'format') end,
        'file_name', v_asked -> 'file_name',
        'options', sluice.check_options(v_asked - v_own)
    );
end;
$$;
comment on function sluice.import_request(jsonb) is
'The request of an import whose file is fetched, in parts: resource, source, format, file_name,
 options. IO400 for what it cannot be.';

create or replace function sluice.judge_schedule(
    p_name text, p_kind text, p_request jsonb, p_missed text
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_name is null or p_name !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$' then
        raise exception
            'a schedule cannot be named %', coalesce(quote_literal(left(p_name, 200)), 'null')
            using errcode = 'IO400', hint = 'give up to 100 letters, digits, points, _ and -';
    elsif p_missed is null or p_missed not in ('once', 'skip') then
        perform sluice.option_error('missed', coalesce(p_missed, 'null'), 'it takes one of once, skip');
    elsif jsonb_typeof(p_request) is distinct from 'object' then
        raise exception 'the request of a schedule must be a JSON object' using
            errcode = 'IO400', hint = 'such as {"resource": "users", "url": "https://…"}';
    elsif p_kind = 'import' then
        perform sluice.import_request(p_request);
    elsif p_kind = 'export' then
        perform sluice.check_request(sluice.export_request(null, null, p_request));
    else
        perform sluice.option_error('kind', coalesce(p_kind, 'null'), 'it takes one of import, export');
    end if;
    perform sluice.check_scope(p_kind);
end;
$$;
comment on function sluice.judge_schedule(text, text, jsonb, text) is
'Refuses what no schedule can be, IO400, and what the key of the request may not do, IO403.';

create or replace function sluice.start_scheduled(p_schedule sluice.schedule)
returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_asked jsonb;
    v_id uuid;
begin
    perform sluice.go_on_for(p_schedule.key_id);
    if p_schedule.kind = 'import' then
        v_asked := sluice.import_request(p_schedule.request);
        v_id := sluice.fetch_create(
            v_asked ->> 'resource', v_asked -> 'source', v_asked ->> 'format',
            v_asked -> 'options', v_asked ->> 'file_name'
        ) ->> 'job_id';
    else
        v_id := sluice.export_create(request => p_schedule.request) ->> 'job_id';
    end if;
    update sluice.job as j set schedule = p_schedule.name where j.job_id = v_id;
    return v_id;
end;
$$;
comment on function sluice.start_scheduled(sluice.schedule) is
'Makes the job of a schedule, as if its request were posted now with the API key that made it. IO400
 when it no longer works, IO403 when the key is good no more.';

-- Schedules as the API makes them.

create or replace function sluice.check_schedule_keys(p_asked jsonb)
returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_names constant text[] := '{name,cron,time_zone,kind,request,missed,paused}';
    v_asked jsonb;
    v_wrong text;
begin
    if jsonb_typeof(p_asked) is distinct from 'object' then
        raise exception 'a schedule must be a JSON object' using errcode = 'IO400',
            hint = 'give name, cron, kind and request';
    end if;
    select
        coalesce(jsonb_object_agg(f.name, r.value) filter (where r.value <> 'null'), '{}'),
        min(r.key) filter (where f.name <> all (v_names))
    into v_asked, v_wrong
    from jsonb_each(p_asked) as r
    cross join lateral (
        select case sluice.fold_name(r.key)
            when 'timezone' then 'time_zone'
            else sluice.fold_name(r.key)
        end as name
    ) as f;
    if v_wrong is not null then
        raise exception 'a schedule has no %', quote_literal(left(v_wrong, 200)) using
            errcode = 'IO400', hint = 'it has ' || array_to_string(v_names, ', ');
    end if;
    select min(a.key) into v_wrong
    from jsonb_each(v_asked) as a
    where jsonb_typeof(a.value) <> case a.key
        when 'request' then 'object'
        when 'paused' then 'boolean'
        else 'string'
    end;
    if v_wrong is not null then
        perform sluice.option_error(v_wrong, (v_asked -> v_wrong)::text, case v_wrong
            when 'request' then 'it takes a JSON object'
            when 'paused' then 'it takes true or false'
            else 'it takes a text'
        end);
    end if;
    return v_asked;
end;
$$;
comment on function sluice.check_schedule_keys(jsonb) is
'A schedule as it was sent, its names in their canonical form (timeZone), without nulls. IO400.';

create or replace function sluice.put_schedule(name text, schedule jsonb, replace boolean)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    v_asked constant jsonb := '{"time_zone": "UTC", "missed": "once", "paused": false}'
        || sluice.check_schedule_keys(schedule);
    v_name constant text := coalesce(name, v_asked ->> 'name');
    v_old sluice.schedule;
    v_new jsonb;
begin
    if v_asked ->> 'name' <> v_name then
        raise exception 'the schedule is named % and %', quote_literal(v_name), v_asked -> 'name'
            using errcode = 'IO400', hint = 'a schedule keeps its name: leave it out of the body';
    end if;
    -- two that make the same name at once
    perform pg_advisory_xact_lock(hashtextextended('pgsluice schedule ' || v_name, 0));
    select s.* into v_old from sluice.schedule as s where s.name = v_name;
    v_new := sluice.schedule(
        v_name, v_asked ->> 'cron', v_asked ->> 'kind', v_asked -> 'request',
        v_asked ->> 'time_zone', v_asked ->> 'missed', (v_asked ->> 'paused')::boolean
    );
    if not replace and v_old.name is not null and (
        v_new ->> 'cron', v_new ->> 'time_zone', v_new ->> 'kind', v_new -> 'request',
        v_new ->> 'missed', v_new -> 'paused'
    ) is distinct from (
        v_old.cron, v_old.time_zone, v_old.kind, v_old.request, v_old.missed, to_jsonb(v_old.paused)
    ) then
        raise exception 'there is a schedule % already, and it is another', quote_literal(v_name)
            using errcode = 'IO409', hint = 'PUT it to replace that one, or take another name';
    end if;
    return jsonb_build_object('created', v_old.name is null, 'schedule', v_new);
end;
$$;
comment on function sluice.put_schedule(text, jsonb, boolean) is
'Makes a schedule from JSON: {"name", "cron", "kind", "request", "time_zone", "missed", "paused"};
 name null: the one in the JSON. Returns whether it is new, and the schedule. IO409 when one of this
 name is there that is not the same, unless replace. IO400.';

-- Schedules as they are shown.

create or replace function sluice.schedule_row(p_name text)
returns sluice.schedule
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_row sluice.schedule;
begin
    select s.* into v_row from sluice.schedule as s where s.name = p_name;
    if not found or not sluice.may_request(v_row.request) then
        raise exception 'there is no schedule %', coalesce(quote_literal(left(p_name, 200)), 'null')
            using errcode = 'IO404', hint = 'the list of schedules shows all';
    end if;
    return v_row;
end;
$$;
comment on function sluice.schedule_row(text) is
'The row of a schedule. IO404 when there is none of this name.';

create or replace function sluice.schedule_object(p_schedule sluice.schedule)
returns jsonb
language sql stable
begin atomic
select jsonb_build_object(
    'name', p_schedule.name,
    'cron', p_schedule.cron,
    'time_zone', p_schedule.time_zone,
    'kind', p_schedule.kind,
    'request', p_schedule.request,
    'missed', p_schedule.missed,
    'paused', p_schedule.paused,
    'next_at', sluice.utc(p_schedule.next_at),
    'last_at', sluice.utc(p_schedule.last_at),
    'last_job_id', p_schedule.last_job_id,
    'last_job_status', j.state,
    'last_error', p_schedule.last_error,
    'created_at', sluice.utc(p_schedule.created_at),
    'links', jsonb_build_object(
        'self', format(
            '%s/schedules/%s', sluice.setting('api_prefix', '/v1'), p_schedule.name
        ),
        'last_job', case when j.job_id is not null then sluice.job_links(j) ->> 'self' end
    )
)
from (values (0)) as one
left join sluice.job as j on j.job_id = p_schedule.last_job_id;
end;
comment on function sluice.schedule_object(sluice.schedule) is
'A schedule as lists show it: what it does, its last and its next run.';

create or replace function sluice.schedule_json(name text)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_row constant sluice.schedule := sluice.schedule_row(name);
begin
    return sluice.schedule_object(v_row) || jsonb_build_object('ticks', (
        select coalesce(jsonb_agg(jsonb_build_object(
            'due_at', sluice.utc(t.due_at),
            'fired_at', sluice.utc(t.fired_at),
            'worker', t.worker,
            'job_id', t.job_id,
            'job_status', j.state,
            'error', t.error
        ) order by t.due_at desc), '[]')
        from (
            select u.* from sluice.tick as u
            where u.schedule = v_row.name
            order by u.due_at desc
            limit 20
        ) as t
        left join sluice.job as j on j.job_id = t.job_id
    ));
end;
$$;
comment on function sluice.schedule_json(text) is
'A schedule with its newest 20 ticks. IO404 when there is none of this name.';

create or replace function sluice.schedules_json()
returns jsonb
language sql stable
begin atomic
select jsonb_build_object(
    'schedules', coalesce(jsonb_agg(sluice.schedule_object(s) order by s.name), '[]')
)
from sluice.schedule as s
where sluice.may_request(s.request);
end;
comment on function sluice.schedules_json() is 'All schedules: {"schedules": […]}.';

create or replace function sluice.cron_ticks(
    cron text, time_zone text default 'UTC', "limit" integer default 5
)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with recursive ticks as (
    select sluice.cron_next(cron, time_zone, clock_timestamp()) as at, 1 as n
    union all
    select sluice.cron_next(cron, time_zone, t.at), t.n + 1 from ticks as t where t.n < "limit"
)

select jsonb_build_object('ticks', jsonb_agg(sluice.utc(t.at) order by t.at)) from ticks as t;
end;
comment on function sluice.cron_ticks(text, text, integer) is
'The next ticks of a cron expression, to see what it means before it is used: {"ticks": […]}. IO400
 as of sluice.cron_next.';

create or replace view sluice.schedules as
select
    s.name,
    s.cron,
    s.time_zone,
    s.kind,
    s.paused,
    s.next_at,
    s.last_at,
    s.last_job_id,
    j.state as last_state,
    s.last_error,
    s.missed,
    s.request
from sluice.schedule as s
left join sluice.job as j on j.job_id = s.last_job_id;
comment on view sluice.schedules is
'All schedules with their last and next run; last_error: why the last tick made no job:
 select * from sluice.schedules order by next_at;';

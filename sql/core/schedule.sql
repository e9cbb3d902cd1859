-- Schedules: imports and exports that begin by the clock, kept here and fired by the workers.

create or replace function sluice.schedule(
    name text,
    cron text,
    kind text,
    request jsonb,
    time_zone text default 'UTC',
    missed text default 'once',
    paused boolean default false
)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    v_zone text;
    v_next timestamptz;
begin
    perform sluice.judge_schedule(name, kind, request, missed);
    v_next := sluice.cron_next(cron, time_zone, clock_timestamp());
    -- Postgres would take 'XYZ+3' too; a name of the list is stored as the list has it
    select z.name into v_zone from pg_timezone_names as z where lower(z.name) = lower(time_zone);
    if not found then
        raise exception 'there is no time zone %', quote_literal(left(time_zone, 100)) using
            errcode = 'IO400', hint = 'select name from pg_timezone_names shows all';
    end if;
    insert into sluice.schedule as s (
        name, cron, time_zone, kind, request, missed, paused, next_at
    )
    values (
        name, btrim(cron), v_zone, kind, request, missed, coalesce(paused, false),
        case when not coalesce(paused, false) then v_next end
    )
    on conflict on constraint schedule_pkey do update
    set
        cron = excluded.cron, time_zone = excluded.time_zone, kind = excluded.kind,
        request = excluded.request, missed = excluded.missed, paused = excluded.paused,
        -- it runs for whoever said last what it does
        key_id = excluded.key_id,
        -- said again as it was, it forgets no tick that is due
        next_at = case
            when excluded.paused or s.next_at is null
                or (s.cron, s.time_zone) <> (excluded.cron, excluded.time_zone) then excluded.next_at
            else s.next_at
        end;
    perform sluice.announce('schedule');
    return sluice.schedule_json(name);
end;
$$;
comment on function sluice.schedule(text, text, text, jsonb, text, text, boolean) is
'Makes a schedule, or changes the one of this name. kind import: request says resource and one of
 url, source_path and object, and may have format, file_name and the options of an import. kind
 export: what sluice.export_create takes; the file goes to the file store.
   select sluice.schedule(''nightly'', ''30 4 * * *'', ''import'',
     ''{"resource": "users", "url": "https://example.org/users.csv"}'', ''Europe/Berlin'');
   select * from sluice.schedules;
 cron: see sluice.cron_next. Each tick is fired once, however many workers run. A tick that is up to
 60 s late is fired all the same. missed says what becomes of older ones, for which no worker ran:
 once makes one job for all of them together, skip none. Ticks while it is paused are not missed. A
 tick makes no job while one of the same schedule still runs. Ticks without a job are recorded with
 the reason. Workers must run. IO400 for what cannot be.';

create or replace function sluice.unschedule(name text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_row constant sluice.schedule := sluice.schedule_row(name);
begin
    delete from sluice.schedule as s where s.name = v_row.name;
    perform sluice.announce('schedule');
end;
$$;
comment on function sluice.unschedule(text) is
'Removes a schedule and its ticks; the jobs that it made stay. IO404 when there is none.';

create or replace function sluice.pause_schedule(name text)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_row constant sluice.schedule := sluice.schedule_row(name);
begin
    update sluice.schedule as s set paused = true, next_at = null where s.name = v_row.name;
    perform sluice.announce('schedule');
    return sluice.schedule_json(v_row.name);
end;
$$;
comment on function sluice.pause_schedule(text) is
'No tick is fired until sluice.resume_schedule; a job that runs goes on. Returns the schedule.
 IO404 when there is none.';

create or replace function sluice.resume_schedule(name text)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_row constant sluice.schedule := sluice.schedule_row(name);
begin
    update sluice.schedule as s
    set paused = false, next_at = sluice.cron_next(s.cron, s.time_zone, clock_timestamp())
    where s.name = v_row.name and s.paused;
    perform sluice.announce('schedule');
    return sluice.schedule_json(v_row.name);
end;
$$;
comment on function sluice.resume_schedule(text) is
'Ends a pause: the next tick is the first after now. Returns the schedule. IO404 when there is
 none.';

create or replace function sluice.run_schedule(name text)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_row constant sluice.schedule := sluice.schedule_row(name);
    v_id constant uuid := sluice.start_scheduled(v_row);
begin
    update sluice.schedule as s
    set last_at = clock_timestamp(), last_job_id = v_id, last_error = null
    where s.name = v_row.name;
    return sluice.job_json(v_id);
end;
$$;
comment on function sluice.run_schedule(text) is
'Makes the job of a schedule now, beside its ticks, paused or not. Returns the job. IO404 when there
 is no such schedule, IO400 when its request no longer works.';

-- What sluice.doctor sees of the work under way.

create or replace function sluice.doctor_work()
returns table (finding text, state text, told text, todo text)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select
    'queue',
    case
        when h.queue ->> 'status' <> 'ok' or h.workers = 0 and h.waiting > 0 then 'fail'
        when h.workers = 0 or h.oldest > 300 then 'warn'
        else 'ok'
    end,
    case
        when h.queue ->> 'status' <> 'ok' then 'its schema is not installed'
        else format(
            '%s alive, %s waiting, %s at work',
            case h.workers
                when 0 then 'no worker' when 1 then '1 worker' else h.workers || ' workers'
            end,
            h.waiting, h.queue ->> 'processing'
        ) || case when h.oldest > 0 then format('; the oldest waits for %s s', h.oldest) else '' end
    end,
    case
        when h.queue ->> 'status' <> 'ok' then 'run pgsluice migrate'
        when h.workers = 0 then 'start pgsluice serve, or pgsluice worker'
        when h.oldest > 300 then 'start more workers, or wait: pgsluice jobs --status processing '
            'shows what is ahead of it'
    end
from (
    select
        d.health -> 'queue' as queue,
        (d.health #>> '{workers,alive}')::bigint as workers,
        (d.health #>> '{queue,waiting}')::bigint as waiting,
        coalesce((d.health #>> '{queue,oldest_seconds}')::numeric, 0) as oldest
    from sluice.health() as d (health)
) as h
union all
select
    'old transactions',
    case when count(*) = 0 then 'ok' else 'warn' end,
    case
        when count(*) = 0 then 'none is open for an hour'
        else count(*) || ' open for more than an hour, the oldest since '
            || to_char(min(a.xact_start) at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
            || ' UTC (process ' || (array_agg(a.pid order by a.xact_start))[1] || ')'
    end,
    case
        when count(*) > 0 then 'they keep VACUUM from cleaning up: end them, or select '
            'pg_terminate_backend(…)'
    end
from pg_stat_activity as a
where a.xact_start < clock_timestamp() - interval '1 hour' and a.backend_type = 'client backend'
union all
select
    'publications',
    case when count(*) = 0 then 'ok' else 'warn' end,
    case
        when count(*) = 0 then 'none is for all tables'
        else string_agg(p.pubname, ', ') || ': for all tables, so a subscriber stops at the first '
            'import''s stage'
    end,
    case when count(*) > 0 then 'publish named tables, or tables in schema app' end
from pg_publication as p
where p.puballtables;
end;
comment on function sluice.doctor_work() is
'Whether the queue moves, and what beside it would stop others or be stopped.';

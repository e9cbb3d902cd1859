-- The whole service at a glance: what a page for operators shows.

create or replace function sluice.ended_jobs(p_since timestamptz, p_width interval)
returns table (
    at timestamptz, resource text, result text, jobs bigint,
    imported bigint, exported bigint, rejected bigint
)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select
    date_bin(p_width, j.completed_at, 'epoch') as at,
    j.resource,
    coalesce(j.outcome, j.state) as result,
    count(*),
    sum(j.inserted + j.updated + j.unchanged)::bigint,
    sum(j.exported)::bigint,
    sum(j.rejected)::bigint
from sluice.job as j
where
    j.completed_at >= p_since
    -- of those nothing was written
    and coalesce(j.options ->> 'dry_run', 'false') = 'false'
group by 1, 2, 3
-- asked once a group, not once a job
having sluice.may_use(j.resource);
end;
comment on function sluice.ended_jobs(timestamptz, interval) is
'Jobs that have ended since a moment and their records, by time, resource and result (clean,
 partial, failed, cancelled); without dry runs, and only of resources that the key may touch.';

create or replace function sluice.overview(hours integer default 24)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_width constant interval := case
        when hours <= 3 then '5 minutes' when hours <= 48 then '1 hour' else '6 hours'
    end;
    v_since timestamptz;
begin
    if hours is null or hours not between 1 and 168 then
        raise exception 'hours must be from 1 to 168' using errcode = 'IO400';
    end if;
    v_since := v_width
        + date_bin(v_width, clock_timestamp() - make_interval(hours => hours), 'epoch');
    return (
        with ended as materialized (
            select e.at, e.resource, e.result, e.jobs, e.imported, e.exported, e.rejected
            from sluice.ended_jobs(v_since, v_width) as e
        ),
        active as materialized (
            select j
            from sluice.job as j
            where j.state in ('pending', 'processing') and sluice.may_use(j.resource)
        ),
        series as (
            select
                f.at, coalesce(sum(e.jobs), 0) as jobs, coalesce(sum(e.imported), 0) as imported,
                coalesce(sum(e.exported), 0) as exported, coalesce(sum(e.rejected), 0) as rejected
            from generate_series(v_since, clock_timestamp(), v_width) as f (at)
            left join ended as e on e.at = f.at
            group by f.at
        ),
        resources as (
            select
                e.resource, sum(e.jobs) as jobs, sum(e.imported) as imported,
                sum(e.exported) as exported, sum(e.rejected) as rejected
            from ended as e
            group by e.resource
        )
        select jsonb_build_object(
            'hours', hours,
            'seconds', extract(epoch from v_width)::integer,
            'health', sluice.health(),
            'rows_per_second', (
                select coalesce(round(sum(
                    (sluice.job_metrics(a.j) ->> 'rows_per_second')::numeric
                )), 0)
                from active as a
                where (a.j).state = 'processing'
            ),
            'running', (
                select coalesce(jsonb_agg(r.job order by r.place), '[]')
                from (
                    select sluice.job_object(a.j) as job, (a.j).accepted as place
                    from active as a
                    where (a.j).state = 'processing'
                    order by place
                    limit 20
                ) as r
            ),
            'series', (
                select jsonb_agg(
                    to_jsonb(s) || jsonb_build_object('at', sluice.utc(s.at)) order by s.at
                )
                from series as s
            ),
            'resources', (
                select coalesce(jsonb_agg(to_jsonb(r) order by r.resource), '[]')
                from resources as r
            ),
            'results', (
                select jsonb_object_agg(n.result, (
                    select coalesce(sum(e.jobs), 0) from ended as e where e.result = n.result
                ))
                from unnest('{clean,partial,failed,cancelled}'::text[]) as n (result)
            )
        )
    );
end;
$$;
comment on function sluice.overview(integer) is
'What runs, how healthy the service is, and what ended in the last hours (1 to 168): a series of
 records by time (each place is seconds long), sums by resource, jobs by result (clean, partial,
 failed, cancelled). Dry runs are left out; jobs of resources that the key may not touch too. At
 most 20 running jobs are listed. IO400.';

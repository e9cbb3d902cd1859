-- What Prometheus is told: counts that live here, so that any process can tell of all.

create or replace function sluice.metrics()
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select jsonb_build_object(
    'http_bounds', to_jsonb(sluice.http_bounds()),
    'job_bounds', to_jsonb(sluice.job_bounds()),
    'http', (select coalesce(jsonb_agg(to_jsonb(h)), '[]') from sluice.http_total as h),
    'jobs', (
        select coalesce(jsonb_agg(to_jsonb(t)), '[]')
        from (
            select
                j.kind, j.resource, j.state, sum(j.jobs) as jobs, sum(j.seconds) as seconds,
                sum(j.good) as good, sum(j.bad) as bad,
                (
                    select array_agg(s.total order by s.i)
                    from (
                        select b.i, sum(b.value) as total
                        from sluice.job_total as o
                        cross join lateral unnest(o.buckets) with ordinality as b (value, i)
                        where (o.kind, o.resource, o.state) = (j.kind, j.resource, j.state)
                        group by b.i
                    ) as s
                ) as buckets
            from sluice.job_total as j
            group by j.kind, j.resource, j.state
        ) as t
    ),
    'active', (
        select jsonb_object_agg(k.kind, (
            select count(*) from sluice.job as j where j.state = 'processing' and j.kind = k.kind
        ))
        from (values ('import'), ('export')) as k (kind)
    ),
    'waiting', (
        select jsonb_object_agg(k.kind, (
            select count(*) from sluice.job as j where j.state = 'pending' and j.kind = k.kind
        ))
        from (values ('import'), ('export')) as k (kind)
    ),
    'oldest_seconds', (
        select coalesce(extract(epoch from clock_timestamp() - min(j.created_at)), 0)
        from sluice.job as j
        where j.state = 'pending'
    ),
    'rows_per_second', (
        select coalesce(sum(
            j.done / greatest(extract(epoch from clock_timestamp() - j.started_at), 0.001)
        ), 0)
        from sluice.job as j
        where j.state = 'processing'
    ),
    'workers', sluice.health() #> '{workers,alive}',
    'deliveries_waiting', (select count(*) from sluice.delivery as d where d.state = 'pending'),
    'stage_bytes', (
        with free as materialized (
            select c.oid as table_oid
            from pg_class as c
            where c.relnamespace = 'sluice_stage'::regnamespace and c.relkind = 'r'
                -- its size is asked under a lock: one just being dropped would be waited for
                and not exists (
                    select from pg_locks as l
                    where l.relation = c.oid and l.mode = 'AccessExclusiveLock' and l.granted
                )
        )

        select coalesce(sum(pg_total_relation_size(f.table_oid)), 0) from free as f
    )
);
end;
comment on function sluice.metrics() is
'What GET /metrics shows, as JSON: requests, jobs and records since the installation; jobs that run
 and wait, age of the oldest that waits, speed, workers, webhooks to deliver, size of all stages.';

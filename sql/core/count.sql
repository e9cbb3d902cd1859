-- Counting: of jobs as they end, of requests as processes hand them over.

create or replace function sluice.job_bounds()
returns double precision[]
language sql immutable parallel safe
return '{0.1,0.5,1,5,10,30,60,300,1800,7200}'::double precision[];
comment on function sluice.job_bounds() is
'Upper bounds of the histogram of job durations, seconds.';

create or replace function sluice.http_bounds()
returns double precision[]
language sql immutable parallel safe
return '{0.005,0.025,0.1,0.25,0.5,1,2.5,5,10,60}'::double precision[];
comment on function sluice.http_bounds() is
'Upper bounds of the histogram of request durations, seconds.';

create or replace function sluice.bucket_of(
    p_seconds double precision, p_bounds double precision[]
)
returns bigint[]
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
select array_agg((i = 1 + (
    select count(*) from unnest(p_bounds) as b where p_seconds > b
))::integer::bigint order by i)
from generate_series(1, cardinality(p_bounds) + 1) as i;
end;
comment on function sluice.bucket_of(double precision, double precision[]) is
'A histogram that holds one value: a 1 in its bucket.';

create or replace function sluice.add_buckets(p_one bigint[], p_other bigint[])
returns bigint[]
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
select array_agg(coalesce(u.one, 0) + coalesce(u.other, 0) order by u.i)
from unnest(p_one, p_other) with ordinality as u (one, other, i);
end;
comment on function sluice.add_buckets(bigint[], bigint[]) is 'Two histograms as one.';

create or replace function sluice.count_job(p_job sluice.job)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
insert into sluice.job_total as t (
    kind, resource, state, shard, jobs, seconds, buckets, good, bad
)
select
    p_job.kind, coalesce(p_job.resource, ''), p_job.state, pg_backend_pid() % 8, 1, d.seconds,
    sluice.bucket_of(d.seconds, sluice.job_bounds()),
    case p_job.kind
        when 'export' then p_job.exported
        else p_job.inserted + p_job.updated + p_job.unchanged + p_job.dropped
    end,
    p_job.rejected + p_job.unprocessed
from (
    select coalesce(extract(epoch from p_job.completed_at - p_job.started_at), 0) as seconds
) as d
on conflict (kind, resource, state, shard) do update
set
    jobs = t.jobs + 1,
    seconds = t.seconds + excluded.seconds,
    buckets = sluice.add_buckets(t.buckets, excluded.buckets),
    good = t.good + excluded.good,
    bad = t.bad + excluded.bad;
end;
comment on function sluice.count_job(sluice.job) is 'Counts a job that has just ended.';

create or replace function sluice.count_http(counts jsonb)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
insert into sluice.http_total as t (method, path, status, requests, seconds, buckets)
select
    c.item ->> 'method' as method, c.item ->> 'path' as path,
    (c.item ->> 'status')::integer as status,
    (c.item ->> 'requests')::bigint, (c.item ->> 'seconds')::double precision,
    array(
        select b.value::bigint
        from jsonb_array_elements_text(c.item -> 'buckets') with ordinality as b (value, place)
        order by b.place
    )
from jsonb_array_elements(counts) as c (item)
-- in one order everywhere: two processes that count at once do not meet crosswise
order by method, path, status
on conflict (method, path, status) do update
set
    requests = t.requests + excluded.requests,
    seconds = t.seconds + excluded.seconds,
    buckets = sluice.add_buckets(t.buckets, excluded.buckets);
end;
comment on function sluice.count_http(jsonb) is
'Adds what a process has counted since it last did:
 [{"method", "path", "status", "requests", "seconds", "buckets"}].';

-- Whose turn it is: the order of jobs, and room for one more.

create or replace function sluice.tied_tables(p_resource text)
returns oid[]
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- the tables that a job of the resource writes, and those tied to them by a foreign key
with written as (
    select r.target::oid as table_oid
    from sluice.resource as r
    where r.name = p_resource or r.parent = p_resource
)
select coalesce(array_agg(distinct t.table_oid), '{}')
from (
    select w.table_oid from written as w
    union all
    select c.confrelid from pg_constraint as c inner join written as w on c.conrelid = w.table_oid
    where c.contype = 'f'
    union all
    select c.conrelid from pg_constraint as c inner join written as w on c.confrelid = w.table_oid
    where c.contype = 'f'
) as t;
end;
comment on function sluice.tied_tables(text) is
'The tables of a resource and its children, and those that refer to them or that they refer to, as
 the catalog has it now.';

create or replace function sluice.tied_resources(p_resource text)
returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- a job of a parent writes its children's tables too
select coalesce(array_agg(distinct n.name), '{}')
from sluice.resource as r
cross join lateral (values (r.name), (r.parent)) as n (name)
where n.name is not null and r.target::oid = any(sluice.tied_tables(p_resource));
end;
comment on function sluice.tied_resources(text) is
'The resources whose jobs go one after the other with those of this one (sluice.tied_tables).';

create or replace function sluice.first_waiting()
returns table (resource text, accepted bigint, job_id uuid)
language sql volatile
rows 10
-- statistics know nothing of jobs that came a moment ago: the index that has the order it is
set enable_sort = off
set search_path = pg_catalog, pg_temp
begin atomic
-- from resource to resource in the index, however many jobs wait for each
with recursive waiting as (
    (
        select j.resource, j.accepted, j.job_id
        from sluice.job as j
        where j.state = 'pending' and j.kind = 'import'
        order by j.resource, j.accepted
        limit 1
    )
    union all
    select n.resource, n.accepted, n.job_id
    from waiting as w
    cross join lateral (
        select j.resource, j.accepted, j.job_id
        from sluice.job as j
        where j.state = 'pending' and j.kind = 'import' and j.resource > w.resource
        order by j.resource, j.accepted
        limit 1
    ) as n
)

select w.resource, w.accepted, w.job_id from waiting as w;
end;
comment on function sluice.first_waiting() is
'Of each resource the job that was accepted first of those that wait: no other can be next.';

create or replace function sluice.startable_job(
    p_job_id uuid, p_not uuid[], p_full boolean, p_mine boolean
)
returns uuid
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
-- the oldest accepted job that no older unfinished job of a tied resource precedes
with first_ones as materialized (
    select w.resource, w.accepted, w.job_id from sluice.first_waiting() as w
)

select j.job_id
from first_ones as w
inner join sluice.job as j on w.job_id = j.job_id
cross join lateral (select sluice.tied_resources(j.resource) as resources) as t
where
    -- asked again when the row is locked; coalesce keeps to the primary key, away from the indexes
    -- of all that wait
    coalesce(j.state, '') = 'pending'
    -- one whose file is still on its way here has its place in the order, but cannot begin
    and j.phase is distinct from 'fetch'
    and (p_job_id is null or j.job_id = p_job_id)
    and j.job_id <> all(p_not)
    and sluice.serves(j.key_id)
    and (p_mine or sluice.is_free(j.claimed_at))
    and (j.not_before is null or j.not_before <= clock_timestamp())
    and not (p_full and (j.priority <> 'interactive' or j.received > 1000))
    and not exists (
        select from first_ones as o
        where o.accepted < j.accepted and o.resource = any(t.resources)
    )
    -- one that has begun is waited for though it is younger: commits may come in another order than
    -- numbers
    and not exists (
        select from sluice.job as o
        where
            o.state = 'processing' and o.kind = 'import' and o.job_id <> j.job_id
            and o.resource = any(t.resources)
            -- a small job may pass between the steps of a large one
            and not (j.priority = 'interactive' and j.received <= 1000)
    )
order by j.accepted
limit 1
for update of j skip locked;
end;
comment on function sluice.startable_job(uuid, uuid[], boolean, boolean) is
'The job that is next to begin, locked; null when there is none. p_not: but for these; p_full: there
 is room for small urgent ones only; p_mine: though it be claimed.';

create or replace function sluice.is_full()
returns boolean
language sql volatile
begin atomic
select m.jobs > 0 and m.jobs <= (
    select count(*) from sluice.job as j where j.state = 'processing' and j.kind = 'import'
)
from (select sluice.setting('max_jobs', '10')::integer as jobs) as m;
end;
comment on function sluice.is_full() is
'Whether as many imports are under way as sluice.max_jobs allows (10; 0: any number).';

create or replace function sluice.may_start(p_job sluice.job)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_job.received <= 1000 then
        -- not seen as under way by anybody: it is through in this transaction
        return p_job.priority = 'interactive' or not sluice.is_full();
    end if;
    -- two that count at the same time would both find room
    return pg_try_advisory_xact_lock(hashtextextended('pgsluice max_jobs', 0))
        and not sluice.is_full();
end;
$$;
comment on function sluice.may_start(sluice.job) is
'Whether there is room for another import (sluice.max_jobs); for a large one exactly, since its
 beginners go one after the other.';

create or replace function sluice.job_progress(job_id uuid)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select jsonb_build_object(
    'job_id', o.job -> 'job_id',
    'kind', o.job -> 'kind',
    'status', o.job -> 'status',
    'phase', o.job -> 'phase',
    'counts', o.job -> 'counts',
    'progress', o.job -> 'progress',
    'metrics', jsonb_build_object('rows_per_second', o.job -> 'metrics' -> 'rows_per_second')
)
from (select sluice.job_object(sluice.visible_job(job_id)) as job) as o;
end;
comment on function sluice.job_progress(uuid) is
'How far a job is: the part of sluice.job_json that changes while it runs. IO404 unknown job.';

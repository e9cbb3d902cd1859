-- Replies as an earlier service had them, which its clients read: profile nest.

create or replace function sluice.nest_errors(p_job sluice.job)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select coalesce(jsonb_agg(jsonb_build_object(
    'row', e.item -> 'row', 'field', e.item -> 'field', 'message', e.item -> 'message',
    'value', e.item -> 'value'
) order by e.place), '[]')
from jsonb_array_elements(sluice.first_errors(p_job.job_id, 100)) with ordinality
    as e (item, place);
end;
comment on function sluice.nest_errors(sluice.job) is
'The first 100 errors of a job in the shape of profile nest.';

create or replace function sluice.nest_import(p_job sluice.job)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select jsonb_build_object(
    'totalRows', p_job.received,
    'processedRows', case
        when p_job.completed_at is not null then p_job.received - p_job.unprocessed
        when p_job.state <> 'processing' then 0
        when p_job.phase = 'cast' then p_job.done
        else p_job.received
    end,
    'successfulRows', p_job.inserted + p_job.updated + p_job.unchanged,
    'failedRows', p_job.rejected,
    'skippedRows', p_job.dropped + p_job.unprocessed,
    'metrics', jsonb_build_object(
        'rowsPerSecond', m.metrics -> 'rows_per_second',
        'errorRate', m.metrics -> 'error_rate',
        'durationMs', m.metrics -> 'duration_ms'
    )
)
from (select sluice.job_metrics(p_job) as metrics) as m;
end;
comment on function sluice.nest_import(sluice.job) is
'What an import has in the shape of profile nest beside what all jobs have; at the end totalRows is
 successfulRows, failedRows and skippedRows.';

create or replace function sluice.nest_export(p_job sluice.job)
returns jsonb
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
select jsonb_build_object(
    'format', p_job.format,
    'totalRows', case when p_job.state = 'completed' then p_job.exported end,
    'exportedRows', case when p_job.state = 'completed' then p_job.exported else p_job.done end,
    'fileSize', o.export -> 'bytes',
    'expiresAt', o.export -> 'expires_at',
    'downloadUrl', sluice.with_link(p_job.job_id, o.export ->> 'download_url'),
    'metrics', jsonb_build_object(
        'rowsPerSecond', o.export -> 'metrics' -> 'rows_per_second',
        'totalBytes', o.export -> 'bytes',
        'durationMs', o.export -> 'metrics' -> 'duration_ms'
    )
)
from (select sluice.export_object(p_job, sluice.job_links(p_job) ->> 'self') as export) as o;
end;
comment on function sluice.nest_export(sluice.job) is
'What an export has in the shape of profile nest beside what all jobs have; its downloadUrl needs no
 key (sluice.link_token).';

create or replace function sluice.nest_job(p_job sluice.job)
returns jsonb
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
select jsonb_build_object(
    'id', p_job.job_id,
    'resourceType', p_job.resource,
    'status', p_job.state,
    'progressPercentage', sluice.job_percent(p_job),
    'error', p_job.error ->> 'detail',
    'createdAt', sluice.utc(p_job.created_at),
    'startedAt', sluice.utc(p_job.started_at),
    'completedAt', sluice.utc(p_job.completed_at),
    'updatedAt', sluice.utc(coalesce(
        p_job.completed_at, greatest(p_job.created_at, p_job.started_at, p_job.heartbeat_at)
    ))
) || case p_job.kind
    when 'import' then sluice.nest_import(p_job)
    else sluice.nest_export(p_job)
end;
end;
comment on function sluice.nest_job(sluice.job) is
'A job in the shape of profile nest, but for its errors.';

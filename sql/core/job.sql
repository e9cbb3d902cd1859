-- One job as the API shows it.

create or replace function sluice.visible_job(p_job_id uuid)
returns sluice.job
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
begin
    select j.* into v_job from sluice.job as j
    where j.job_id = p_job_id and j.state <> 'receiving';
    -- a job of a resource that the key may not touch is not there for it
    if not found or not sluice.may_use(v_job.resource) then
        raise exception 'job % does not exist', coalesce(p_job_id::text, 'null') using
            errcode = 'IO404', hint = 'the list of jobs shows which do';
    end if;
    return v_job;
end;
$$;
comment on function sluice.visible_job(uuid) is
'The row of a job. IO404 when there is none, or when its upload has not been accepted yet.';

create or replace function sluice.job_percent(p_job sluice.job)
returns numeric
language sql immutable
begin atomic
select case
    when p_job.completed_at is not null then 100.0
    when p_job.state <> 'processing' then 0.0
    -- of an export against what the planner expects, which is a guess
    when p_job.kind = 'export' then coalesce(least(99.9, round(
        100.0 * p_job.done / nullif((p_job.metrics ->> 'expected')::bigint, 0), 1
    )), 0.0)
    else least(99.9, round(case p_job.phase
        when 'cast' then 40 * d.share
        when 'match' then 40 + 10 * d.share
        when 'merge' then 50 + 50 * d.share
        when 'finish' then 100
        else 0.0
    end, 1))
end
from (
    select least(1.0, coalesce(p_job.done::numeric / nullif(p_job.received, 0), 0)) as share
) as d;
end;
comment on function sluice.job_percent(sluice.job) is
'How far a job is: cast is the first 40 percent, match the next 10, merge the rest;
 100 once ended.';

create or replace function sluice.job_metrics(p_job sluice.job)
returns jsonb
language sql stable
begin atomic
select jsonb_build_object(
    'rows_per_second', case
        when d.seconds > 0 then round(r.rows / d.seconds)
    end,
    'error_rate', case
        when p_job.received > 0 then round(p_job.rejected::numeric / p_job.received, 6)
    end,
    'duration_ms', round(d.seconds * 1000),
    'bytes', p_job.bytes
) || p_job.metrics
from (
    select extract(epoch from
        coalesce(p_job.completed_at, clock_timestamp()) - p_job.started_at
    ) as seconds
) as d
cross join lateral (
    select case
        when p_job.completed_at is not null then p_job.received - p_job.unprocessed
        else p_job.done
    end as rows
) as r;
end;
comment on function sluice.job_metrics(sluice.job) is
'Speed, share of rejects, duration and size of a job, and what its steps measured.';

create or replace function sluice.utc(p_time timestamptz)
returns text
language sql stable
return to_char(p_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
comment on function sluice.utc(timestamptz) is 'A time in RFC 3339, in UTC.';

create or replace function sluice.job_links(p_job sluice.job)
returns jsonb
language sql stable
begin atomic
select case p_job.kind
    when 'import' then jsonb_build_object(
        'self', u.url, 'errors', u.url || '/errors', 'rejects', u.url || '/rejects',
        'events', u.url || '/events'
    ) || case
        when (p_job.options ->> 'results')::boolean
            and coalesce(p_job.options ->> 'dry_run', 'false') = 'false'
            then jsonb_build_object('results', u.url || '/results')
        else '{}'
    end
    else jsonb_build_object(
        'self', u.url, 'download', u.url || '/download', 'events', u.url || '/events'
    )
end
from (
    select format(
        '%s/%ss/%s', coalesce(nullif(current_setting('sluice.api_prefix', true), ''), '/v1'),
        p_job.kind, p_job.job_id
    ) as url
) as u;
end;
comment on function sluice.job_links(sluice.job) is
'Where the API answers for a job; setting sluice.api_prefix, /v1 by default.';

create or replace function sluice.job_object(p_job sluice.job)
returns jsonb
language sql stable
begin atomic
select jsonb_build_object(
    'job_id', p_job.job_id,
    'id', p_job.job_id,
    'kind', p_job.kind,
    'resource', p_job.resource,
    'format', p_job.format,
    'file_name', p_job.file_name,
    'source', sluice.shown_source(p_job.source),
    'status', p_job.state,
    'phase', p_job.phase,
    'outcome', p_job.outcome,
    'dry_run', case p_job.options ->> 'dry_run'
        when 'true' then 'true'::jsonb
        when 'write' then '"write"'
        else 'false'
    end,
    'counts', jsonb_build_object(
        'received', p_job.received, 'inserted', p_job.inserted, 'updated', p_job.updated,
        'unchanged', p_job.unchanged, 'rejected', p_job.rejected, 'dropped', p_job.dropped,
        'unprocessed', p_job.unprocessed
    ),
    'progress', jsonb_build_object(
        'rows', case
            when p_job.completed_at is not null then p_job.received - p_job.unprocessed
            when p_job.phase = 'fetch' then p_job.received
            else p_job.done
        end,
        'percent', sluice.job_percent(p_job)
    ),
    'metrics', sluice.job_metrics(p_job),
    'ignored_fields', p_job.ignored_fields,
    'options', p_job.options - 'callback_url',
    'error', '{"type": "about:blank", "title": "Job failed"}' || p_job.error,
    'parent_job_id', p_job.parent_job_id,
    'schedule', p_job.schedule,
    'callback_url', sluice.shown_url(p_job.callback_url),
    'created_at', sluice.utc(p_job.created_at),
    'started_at', sluice.utc(p_job.started_at),
    'completed_at', sluice.utc(p_job.completed_at),
    'expires_at', sluice.utc(p_job.expires_at),
    'links', sluice.job_links(p_job)
) || case
    when p_job.options ->> 'dry_run' in ('true', 'write')
        then jsonb_build_object('sample', p_job.sample)
    else '{}'
end || case p_job.kind
    when 'export' then sluice.export_object(p_job, sluice.job_links(p_job) ->> 'self')
    else '{}'
end;
end;
comment on function sluice.job_object(sluice.job) is
'A job as lists of the API show it: all but its errors.';

create or replace function sluice.job_json(job_id uuid)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.visible_job(job_id);
    v_errors constant jsonb := sluice.first_errors(job_id, 101);
begin
    return sluice.job_object(v_job) || case v_job.kind
        when 'import' then jsonb_build_object(
            'errors', v_errors - 100,
            'errors_truncated', jsonb_array_length(v_errors) > 100
        )
        else '{}'
    end;
end;
$$;
comment on function sluice.job_json(uuid) is
'A job as the API shows it, with its first 100 errors. IO404 when there is no such job.';

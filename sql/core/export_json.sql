-- What the API shows of an export beside what all jobs have.

create or replace function sluice.export_object(p_job sluice.job, p_url text)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_files constant jsonb := coalesce((
        select jsonb_agg(jsonb_build_object(
            'name', f.name,
            'resource', f.resource,
            'exported', f.rows,
            'bytes', f.bytes,
            'sha256', f.sha256,
            'content_type', f.content_type,
            'expires_at', sluice.utc(f.expires_at),
            'download_url', case when not f.removed and f.expires_at > clock_timestamp() then concat(
                p_url, '/download', case when c.files > 1 then '?file=' || f.name end
            ) end
        ) order by f.place)
        from sluice.export_file as f
        cross join (
            select count(*) as files from sluice.export_file as o where o.job_id = p_job.job_id
        ) as c
        where f.job_id = p_job.job_id
    ), '[]');
    v_one constant jsonb := case jsonb_array_length(v_files) when 1 then v_files -> 0 else '{}' end;
    v_seconds constant numeric := extract(
        epoch from coalesce(p_job.completed_at, clock_timestamp()) - p_job.started_at
    );
begin
    return jsonb_build_object(
        'resources', p_job.options -> 'resources',
        'exported', p_job.exported,
        'bytes', p_job.bytes,
        'sha256', v_one -> 'sha256',
        'snapshot', p_job.snapshot,
        'files', v_files,
        'download_url', v_one -> 'download_url',
        'expires_at', coalesce(v_files #>> '{0,expires_at}', sluice.utc(p_job.expires_at)),
        'progress', jsonb_build_object('rows', p_job.done, 'percent', sluice.job_percent(p_job)),
        'metrics', jsonb_build_object(
            'rows_per_second', case when v_seconds > 0 then round(p_job.done / v_seconds) end,
            'duration_ms', round(v_seconds * 1000),
            'bytes', p_job.bytes
        ) || p_job.metrics
    );
end;
$$;
comment on function sluice.export_object(sluice.job, text) is
'What a job that is an export shows beyond what all jobs do: rows, bytes, files, snapshot.';

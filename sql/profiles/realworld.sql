-- Replies as an earlier service had them, which its clients read: profile realworld.

create or replace function sluice.sent_record(p_job sluice.job, p_reject sluice.reject)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select case
    when p_reject.malformed then to_jsonb(p_reject.record)
    when p_reject.cells is not null then (
        select jsonb_object_agg(
            coalesce(nullif(h.name, ''), 'column ' || h.place), p_reject.cells[h.place]
        )
        from unnest(p_job.header) with ordinality as h (name, place)
        where h.name not in ('_row', '_errors', '_raw')
    )
    -- a hundred of these stand in one reply
    when octet_length(p_reject.record) > 65536 then to_jsonb(left(p_reject.record, 1000) || '…')
    when p_reject.record is json object and pg_input_is_valid(p_reject.record, 'jsonb')
        then p_reject.record::jsonb
    else to_jsonb(p_reject.record)
end;
end;
comment on function sluice.sent_record(sluice.job, sluice.reject) is
'A rejected record as it was sent: an object, or its raw text where it is malformed; of one larger
 than 64 kB the beginning.';

create or replace function sluice.realworld_errors(p_job sluice.job)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select coalesce(jsonb_agg(jsonb_build_object(
    'recordIndex', f.n,
    'errorMessage', (
        select string_agg(e.item ->> 'message', '; ' order by e.place)
        from jsonb_array_elements(f.errors) with ordinality as e (item, place)
    ),
    'errorType', case
        when f.errors @> '[{"code": "write"}]' then 'INTERNAL_ERROR'
        else 'VALIDATION_ERROR'
    end,
    'fields', jsonb_path_query_array(f.errors, '$[*].field ? (@ != null)'),
    'recordData', sluice.sent_record(p_job, f.reject)
) order by f.n), '[]')
from (
    select r.n, r.errors, r as reject
    from sluice.reject as r
    where r.job_id = p_job.job_id
    order by r.n
    limit 100
) as f;
end;
comment on function sluice.realworld_errors(sluice.job) is
'The first 100 rejected records of a job, one object each, in the shape of profile realworld; fields
 names what is wrong, which that service did not.';

create or replace function sluice.realworld_job(p_job sluice.job)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select jsonb_build_object(
    'job_id', p_job.job_id,
    'id', p_job.job_id,
    'type', p_job.kind,
    'resource', p_job.resource,
    'format', p_job.format,
    'status', case p_job.state when 'cancelled' then 'failed' else p_job.state end,
    'error', case p_job.state when 'cancelled' then 'cancelled' else p_job.error ->> 'detail' end,
    'createdAt', sluice.utc(p_job.created_at),
    'startedAt', sluice.utc(p_job.started_at),
    'completedAt', sluice.utc(p_job.completed_at)
) || case p_job.kind
    when 'import' then jsonb_build_object(
        'totalRecords', p_job.received,
        'successCount', p_job.inserted + p_job.updated + p_job.unchanged + p_job.dropped,
        'errorCount', p_job.rejected + p_job.unprocessed
    )
    else (
        select jsonb_build_object(
            'totalRecords', p_job.exported,
            'downloadUrl', o.export -> 'download_url',
            'expiresAt', o.export -> 'expires_at'
        )
        from (
            select sluice.export_object(p_job, sluice.job_links(p_job) ->> 'self') as export
        ) as o
    )
end;
end;
comment on function sluice.realworld_job(sluice.job) is
'A job in the shape of profile realworld, but for its errors. At the end totalRecords is
 successCount and errorCount, what a failed or cancelled job has left undone among the latter.';

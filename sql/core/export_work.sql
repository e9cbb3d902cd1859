-- Carrying out an export: a worker takes the job, writes its files, and says so here.

create or replace function sluice.take_export()
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.take_lease(null, 'export');
begin
    return case when v_job.job_id is not null then jsonb_build_object(
        'job_id', v_job.job_id, 'attempt', v_job.attempts, 'resource', v_job.resource,
        'login', sluice.key_login(v_job.key_id)
    ) end;
end;
$$;
comment on function sluice.take_export() is
'Takes the oldest export that waits: {"job_id", "attempt", "resource", "login"}; null when there is
 none.';

create or replace function sluice.snapshot_place()
returns jsonb
language sql volatile
return jsonb_build_object('time', sluice.utc(clock_timestamp()), 'lsn', case
    when pg_is_in_recovery() then pg_last_wal_replay_lsn()
    else pg_current_wal_lsn()
end);
comment on function sluice.snapshot_place() is
'The time and the WAL position now; asked just before a snapshot they are its lower bound.';

create or replace function sluice.export_begin(job_id uuid, attempt integer)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_job sluice.job;
begin
    if not sluice.hold_job(job_id) then
        return null;
    end if;
    -- nobody waits for an answer, and what is written would be to do again
    perform set_config('lock_timeout', '60s', true);
    select j.* into v_job from sluice.job as j
    where j.job_id = export_begin.job_id and j.attempts = attempt and j.worker is not null
        and j.state = 'processing';
    return case when found then (
        select jsonb_agg(
            f.file || jsonb_build_object('path', sluice.export_folder(v_job) || (f.file ->> 'name'))
            order by f.file -> 'place'
        )
        from jsonb_array_elements(sluice.export_files(v_job.options)) as f (file)
    ) end;
end;
$$;
comment on function sluice.export_begin(uuid, integer) is
'The files to write: [{"place", "name", "path", "encoding", "parts": [{"resource", "name"}]}];
 null when the job is no longer ours. Called first in the transaction whose snapshot is exported; it then
 holds the job (sluice.hold_job).';

create or replace function sluice.export_copy_part(job_id uuid, resource text)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_reply jsonb;
begin
    select j.* into v_job from sluice.job as j where j.job_id = export_copy_part.job_id;
    perform sluice.pin_output(
        (select r.search_path from sluice.resource as r where r.name = export_copy_part.resource)
    );
    v_reply := sluice.export_part(v_job.options, resource) || jsonb_build_object(
        -- an empty array is a line, but no row
        'empty', case v_job.options ->> 'format' when 'json' then e'[]\n' else '' end
    );
    return sluice.as_key(v_reply, v_job.key_id, resource);
end;
$$;
comment on function sluice.export_copy_part(uuid, text) is
'The COPY of one resource of an export, as of sluice.export_copy; pins the settings of output, and
 takes on the role of the job''s API key, until the next part: go back to the own role before it. empty: what comes when there are no rows. IO400 when the table has changed so that
 the request no longer fits.';

create or replace function sluice.export_beat(
    job_id uuid, attempt integer, rows bigint, bytes bigint
)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if not sluice.beat_job(job_id, attempt) then
        return false;
    end if;
    update sluice.job as j
    set done = rows, bytes = export_beat.bytes
    where j.job_id = export_beat.job_id;
    perform sluice.announce('job ' || job_id);
    return true;
end;
$$;
comment on function sluice.export_beat(uuid, integer, bigint, bigint) is
'Keeps the lease of an export and tells how far it is; false when it is lost.';

create or replace function sluice.export_finish(
    job_id uuid, attempt integer, files jsonb, snapshot jsonb
)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.leased_job(job_id, attempt);
begin
    if v_job.job_id is null then
        return false;
    end if;
    insert into sluice.export_file (
        job_id, place, resource, name, path, rows, bytes, sha256, content_type, expires_at
    )
    select
        v_job.job_id, f.place, f.resource, f.name, f.path, f.rows, f.bytes, f.sha256, f.content_type,
        clock_timestamp() + make_interval(secs => (v_job.options ->> 'expires_in')::double precision)
    from jsonb_to_recordset(files) as f (
        place integer, resource text, name text, path text, rows bigint, bytes bigint, sha256 text,
        content_type text
    );
    update sluice.job as j
    set
        state = 'completed',
        outcome = 'clean',
        completed_at = clock_timestamp(),
        snapshot = export_finish.snapshot,
        (exported, done, bytes) = (
            select sum(f.rows), sum(f.rows), sum(f.bytes)
            from sluice.export_file as f
            where f.job_id = v_job.job_id
        ),
        metrics = j.metrics - 'last_error' || jsonb_build_object('exported', (
            select jsonb_object_agg(p ->> 'resource', p -> 'rows')
            from jsonb_array_elements(files) as f
            cross join lateral jsonb_array_elements(f -> 'parts') as p
        ))
    where j.job_id = v_job.job_id;
    perform sluice.end_job(v_job.job_id);
    perform sluice.count_bytes(v_job.key_id, (
        select sum(f.bytes)::bigint from sluice.export_file as f where f.job_id = v_job.job_id
    ), p_refuse => false);
    -- a file that was asked to be kept longer than jobs are keeps its job
    update sluice.job as j
    set expires_at = greatest(j.expires_at, (
        select max(f.expires_at) from sluice.export_file as f where f.job_id = v_job.job_id
    ))
    where j.job_id = v_job.job_id;
    return true;
end;
$$;
comment on function sluice.export_finish(uuid, integer, jsonb, jsonb) is
'Ends an export whose files are in the store: [{"place", "resource", "name", "path", "rows",
 "bytes", "sha256", "content_type", "parts": [{"resource", "rows"}]}]. False when it is no longer ours: then
 remove them.';

create or replace function sluice.export_fail(
    job_id uuid, attempt integer, error text, sqlstate text default null,
    lasting boolean default false
)
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_lasting constant boolean := lasting or coalesce(
        left(sqlstate, 2) not in ('08', '40', '53', '55', '57', '58') and sqlstate not like 'IO5%', false
    );
begin
    if (sluice.leased_job(job_id, attempt)).job_id is null then
        return null;
    elsif v_lasting then
        perform sluice.fail_job(job_id, 'The export failed', error);
        return 'failed';
    end if;
    perform sluice.release_job(job_id, attempt, 5 * 3 ^ (attempt - 1), error);
    return 'waits';
end;
$$;
comment on function sluice.export_fail(uuid, integer, text, text, boolean) is
'Says that an attempt failed. lasting, or an error of the request itself: the job has failed until
 something is mended and it is retried. Else (the database or the store was away) it waits 5, 15, 45,
 135 seconds, and has failed after five attempts. Returns failed, waits, or null: it was not ours.';

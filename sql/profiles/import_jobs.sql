-- System E: imports of users from a file of the import folder.

create or replace view sluice.import_jobs as
select
    j.job_id,
    j.source ->> 'source_path' as source_path,
    case j.state
        when 'pending' then 'queued'
        when 'processing' then 'processing'
        when 'completed' then 'completed'
        else 'failed'
    end as status,
    j.received as total_count,
    j.inserted as imported_count,
    j.updated + j.unchanged as updated_count,
    j.rejected + j.dropped + j.unprocessed as failed_count,
    j.ignored_fields,
    case
        when j.state = 'cancelled' then 'the import was cancelled'
        else j.error ->> 'detail'
    end as error,
    j.created_at,
    j.started_at,
    j.completed_at
from sluice.job as j
where j.kind = 'import' and j.resource = 'users' and j.state <> 'receiving';
comment on view sluice.import_jobs is
'Imports of users as GET /api/v1/imports/users/{job_id} shows them. updated_count: every record
 whose user was there already, changed or not; failed_count: every record that was not written.';

create or replace function sluice.user_import(job_id uuid)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.visible_job(job_id);
    v_shown jsonb;
begin
    select to_jsonb(i) || jsonb_build_object(
        'created_at', sluice.utc(i.created_at), 'started_at', sluice.utc(i.started_at),
        'completed_at', sluice.utc(i.completed_at)
    )
    into v_shown
    from sluice.import_jobs as i
    where i.job_id = v_job.job_id;
    if not found then
        raise exception 'job % is no import of users', v_job.job_id using
            errcode = 'IO404', hint = 'see /v1/jobs';
    end if;
    return v_shown;
end;
$$;
comment on function sluice.user_import(uuid) is
'A row of sluice.import_jobs as JSON. IO404 when there is none.';

create or replace function sluice.import_users_from(
    source_path text, digest text default null, idempotency_key text default null,
    idempotency_scope text default null
)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job jsonb;
begin
    perform sluice.check_scope('import');
    v_job := sluice.fetch_create(
        'users', jsonb_build_object('source_path', source_path), 'json', '{
            "mapping": {"id": "external_id", "addresses.id": null},
            "match": ["external_id", "email"],
            "defaults": {"role": "reader"},
            "unknown_fields": "ignore"
        }', null, digest, idempotency_key, idempotency_scope
    );
    return sluice.user_import((v_job ->> 'job_id')::uuid);
end;
$$;
comment on function sluice.import_users_from(text, text, text, text) is
'Has a worker import users from a .json file (array or NDJSON) below its SLUICE_IMPORT_DIR. Their id
 is our external_id, by which, and then by e-mail, they are found again; ids of addresses are theirs
 and mean nothing here; unknown keys are ignored and listed. Returns the job as sluice.user_import.';

-- The files of an export: names, paths in the store, and which of them nobody needs any more.

create or replace function sluice.store_prefix()
returns text
language sql stable
begin atomic
-- several databases may keep their files in one store: none takes another's for orphans
select format('exports/%s/', left(md5(format('%s %s', s.system_identifier, d.oid)), 12))
from pg_control_system() as s
inner join pg_database as d on d.datname = current_database();
end;
comment on function sluice.store_prefix() is
'Under which path of the file store this very database keeps its exports.';

create or replace function sluice.export_folder(p_job sluice.job)
returns text
language sql stable
-- each attempt has its own: whoever was given up cannot write into the files of another
return format('%s%s/%s/', sluice.store_prefix(), p_job.job_id, p_job.attempts);
comment on function sluice.export_folder(sluice.job) is
'Where in the store the present attempt of an export writes.';

create or replace function sluice.export_files(p_request jsonb)
returns jsonb
language sql immutable
begin atomic
select case
    when jsonb_array_length(p_request -> 'resources') = 1
        or p_request ->> 'archive' = 'none' then (
        select jsonb_agg(jsonb_build_object(
            'place', r.place,
            'resource', r.name,
            'name', format(
                '%s.%s%s', r.name, p_request ->> 'format',
                case p_request ->> 'compression' when 'gzip' then '.gz' when 'zstd' then '.zst' end
            ),
            'encoding', coalesce(p_request ->> 'compression', 'none'),
            'content_type', case p_request ->> 'compression'
                when 'gzip' then 'application/gzip'
                when 'zstd' then 'application/zstd'
                else sluice.copy_reply(
                    '', p_request ->> 'format', sluice.csv_options(p_request)
                ) ->> 'content_type'
            end,
            'parts', jsonb_build_array(jsonb_build_object('resource', r.name))
        ) order by r.place)
        from jsonb_array_elements_text(p_request -> 'resources') with ordinality as r (name, place)
    )
    else (
        select jsonb_build_array(jsonb_build_object(
            'place', 1,
            'resource', null,
            'name', left(string_agg(r.name, '-' order by r.place), 100) || '.zip',
            'encoding', case p_request ->> 'compression'
                when 'none' then 'zip stored' else 'zip'
            end,
            'content_type', 'application/zip',
            'parts', jsonb_agg(jsonb_build_object(
                'resource', r.name, 'name', format('%s.%s', r.name, p_request ->> 'format')
            ) order by r.place)
        ))
        from jsonb_array_elements_text(p_request -> 'resources') with ordinality as r (name, place)
    )
end;
end;
comment on function sluice.export_files(jsonb) is
'The files that an export makes, by its request, and the resources that go into each.';

create or replace function sluice.export_download(job_id uuid, file text default null)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_job constant sluice.job := sluice.visible_job(job_id);
    v_names constant text[] := array(
        select f.name from sluice.export_file as f where f.job_id = v_job.job_id order by f.place
    );
    v_file sluice.export_file;
begin
    if v_job.kind <> 'export' then
        raise exception 'job % is no export', v_job.job_id using errcode = 'IO404';
    elsif v_job.completed_at is null then
        return jsonb_build_object('status', v_job.state);
    elsif v_job.state <> 'completed' then
        raise exception 'export % is %: it has no file', v_job.job_id, v_job.state using
            errcode = 'IO409', hint = 'retry it';
    elsif export_download.file is null and cardinality(v_names) > 1 then
        raise exception 'export % has several files', v_job.job_id using
            errcode = 'IO400', hint = 'add ?file=NAME, one of ' || array_to_string(v_names, ', ');
    end if;
    select f.* into v_file from sluice.export_file as f
    where f.job_id = v_job.job_id and f.name = coalesce(export_download.file, v_names[1]);
    if not found then
        raise exception 'export % has no file %', v_job.job_id,
            quote_literal(left(export_download.file, 200)) using
            errcode = 'IO404', hint = 'it has ' || array_to_string(v_names, ', ');
    elsif v_file.removed or v_file.expires_at <= clock_timestamp() then
        raise exception 'the file of export % expired at %', v_job.job_id, sluice.utc(v_file.expires_at)
            using errcode = 'IO410', hint = 'retry the export to make it anew';
    end if;
    return to_jsonb(v_file) || jsonb_build_object(
        'status', 'completed',
        'written', extract(epoch from v_job.completed_at),
        'seconds_left', extract(epoch from v_file.expires_at - clock_timestamp())
    );
end;
$$;
comment on function sluice.export_download(uuid, text) is
'What the service needs to send a file of an export: path, name, bytes, sha256, content_type; only
 {"status"} while it is not done. IO404, IO409 failed or cancelled, IO410 expired, IO400 when it has
 several files and none is named.';

create or replace function sluice.stale_files("limit" integer default 500)
returns text[]
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
with expired as (
    update sluice.export_file as f
    set removed = true
    where not f.removed and f.expires_at <= statement_timestamp()
    returning f.path
)
insert into sluice.stale_file (path)
select e.path from expired as e
on conflict do nothing;
select array(select s.path from sluice.stale_file as s order by s.since limit "limit");
end;
comment on function sluice.stale_files(integer) is
'The oldest files of the store that are to be removed: expired ones and those of deleted jobs. Once
 they are gone call sluice.forget_files.';

create or replace function sluice.forget_files(paths text[])
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from sluice.stale_file as s where s.path = any(paths);
end;
$$;
comment on function sluice.forget_files(text[]) is 'Says that these files are out of the store.';

create or replace function sluice.orphaned_files(paths text[])
returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select array(
    select p.path
    from unnest(paths) as p (path)
    where
        starts_with(p.path, sluice.store_prefix())
        and not exists (select from sluice.export_file as f where f.path = p.path)
        and not exists (
            select from sluice.job as j
            where
                j.state in ('pending', 'processing') and j.kind = 'export' and j.worker is not null
                and starts_with(p.path, sluice.export_folder(j))
        )
);
end;
comment on function sluice.orphaned_files(text[]) is
'Which of these files of the store belong to no finished export and to none that is under way: of
 workers that died. Only paths below sluice.store_prefix() are judged.';

-- What became of each good record of an import that asked for results=true.

create or replace function sluice.results_rows(p_job_id uuid)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job constant sluice.job := sluice.visible_job(p_job_id);
begin
    if v_job.kind <> 'import' then
        raise exception 'job % is an %', p_job_id, v_job.kind using
            errcode = 'IO404', hint = 'only imports have results';
    elsif (v_job.options ->> 'results')::boolean is not true then
        raise exception 'import % did not ask for results', p_job_id using
            errcode = 'IO409', hint = 'import with results=true to have the outcome of each record kept';
    elsif v_job.options ->> 'dry_run' in ('true', 'write') then
        raise exception 'import % was a dry run and wrote nothing', p_job_id using
            errcode = 'IO409', hint = 'its counts and its sample tell what it would have done';
    end if;
    return (
        select format(
            e'select r.n as "row", r.action%s\nfrom sluice.result as r\nwhere r.job_id = %L\norder by r.n',
            coalesce(string_agg(format(
                ', r.key ->> %L as %I', i.name,
                case when i.name in ('row', 'action') then 'key_' || i.name else i.name end
            ), '' order by i.place), ''),
            p_job_id
        )
        from jsonb_array_elements_text(v_job.spec -> 'identity') with ordinality as i (name, place)
    );
end;
$$;
comment on function sluice.results_rows(uuid) is
'The query of the results of an import: row, action, the key of the row in the table.';

create or replace function sluice.results_sql(job_id uuid, format text default 'csv')
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rows constant text := sluice.results_rows(job_id);
begin
    return case sluice.check_format(format)
        when 'csv' then v_rows
        when 'ndjson' then sluice.json_lines(v_rows)
        else sluice.json_array(sluice.json_lines(v_rows))
    end;
end;
$$;
comment on function sluice.results_sql(uuid, text) is
'The query that exports what became of each good record, for copy (…) to: row, action (inserted,
 updated, unchanged) and the key of its row. csv, or one column, line. IO404 no such import,
 IO409 it did not ask for results.
   select sluice.results_sql(''…'') as q \gset
   copy (:q) to stdout with (format csv, header) \g results.csv';

create or replace function sluice.results_copy(job_id uuid, format text default 'csv')
returns jsonb
language sql volatile
begin atomic
select sluice.pin_output(null);
select sluice.copy_reply(
    sluice.results_sql(job_id, format), format, sluice.csv_options('{}')
);
end;
comment on function sluice.results_copy(uuid, text) is
'The results of an import as a whole COPY, in the shape of sluice.export_copy.';

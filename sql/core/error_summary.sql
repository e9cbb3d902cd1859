create or replace function sluice.error_summary(job_id uuid)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    perform sluice.visible_job(job_id);
    return (
        with found as (
            select
                e.row, e.field, e.code, e.constraint, e.message,
                jsonb_build_object('row', e.row, 'line', e.line, 'value', e.value) as example
            from sluice.import_errors(error_summary.job_id) as e
        ),
        by_constraint as (
            select
                f.field, f.code, f.constraint, count(distinct f.row) as records,
                (array_agg(f.message order by f.row))[1] as message,
                (array_agg(f.example order by f.row))[1] as example
            from found as f
            group by f.field, f.code, f.constraint
        ),
        by_code as (
            select
                f.field, f.code, count(distinct f.row) as records, count(*) as errors,
                (array_agg(f.example order by f.row))[1] as example
            from found as f
            group by f.field, f.code
        )
        select jsonb_build_object(
            'job_id', error_summary.job_id,
            'records', (select count(distinct f.row) from found as f),
            'errors', (select count(*) from found as f),
            'groups', (
                select coalesce(jsonb_agg(jsonb_build_object(
                    'field', g.field,
                    'code', g.code,
                    'records', g.records,
                    'errors', g.errors,
                    'example', g.example,
                    'constraints', (
                        select jsonb_agg(jsonb_build_object(
                            'constraint', c.constraint, 'records', c.records,
                            'message', c.message, 'example', c.example
                        ) order by c.records desc, c.constraint)
                        from by_constraint as c
                        where c.code = g.code and c.field is not distinct from g.field
                    )
                ) order by g.records desc, g.field, g.code), '[]')
                from by_code as g
            )
        )
    );
end;
$$;
comment on function sluice.error_summary(uuid) is
'The errors of a job counted by field and code, the most frequent first; records counts each record
 once; constraints tells the constraints and rules apart. With an example each. IO404 unknown job.';

-- The guilty records of a range that could not be written as a whole.

create or replace function sluice.isolate_range(
    p_job sluice.job, p_from bigint, p_to bigint,
    inout x_inserted bigint, inout x_updated bigint, inout x_rejects jsonb, inout x_children jsonb
)
returns record
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_done record;
    v_ns bigint[];
    v_middle bigint;
    v_code text;
    v_message text;
    v_constraint text;
    v_column text;
begin
    begin
        v_done := sluice.write_range(p_job, p_from, p_to, null, null);
        x_inserted := x_inserted + v_done.o_inserted;
        x_updated := x_updated + v_done.o_updated;
        x_children := sluice.add_counts(x_children, v_done.o_children);
        return;
    exception when others then
        get stacked diagnostics v_code = returned_sqlstate, v_message = message_text,
            v_constraint = constraint_name, v_column = column_name;
        if v_code <> '40002' and sluice.fault_class(v_code) <> 'record' then
            raise;
        end if;
    end;
    execute format('select array_agg(t._n order by t._n) from (%s) as t', sluice.sql_todo(p_job.spec))
    into v_ns using p_from, p_to;
    if cardinality(v_ns) = 1 then
        if coalesce(p_job.spec ->> 'role', p_job.spec ->> 'login') is not null
            and v_code in ('23505', '23P01') then
            -- by a row that the role may not see, nothing of which is told
            v_message := 'this row may not be written with this API key';
            v_constraint := null;
        end if;
        x_rejects := x_rejects || jsonb_build_object('n', v_ns[1], 'error', sluice.record_error(
            'write', nullif(v_column, ''), nullif(v_constraint, ''), v_message, null, v_code
        ));
        return;
    end if;
    v_middle := v_ns[cardinality(v_ns) / 2 + 1];
    select i.x_inserted, i.x_updated, i.x_rejects, i.x_children
    into x_inserted, x_updated, x_rejects, x_children
    from sluice.isolate_range(p_job, p_from, v_middle, x_inserted, x_updated, x_rejects, x_children) as i;
    select i.x_inserted, i.x_updated, i.x_rejects, i.x_children
    into x_inserted, x_updated, x_rejects, x_children
    from sluice.isolate_range(p_job, v_middle, p_to, x_inserted, x_updated, x_rejects, x_children) as i;
end;
$$;
comment on function sluice.isolate_range(
    sluice.job, bigint, bigint, bigint, bigint, jsonb, jsonb
) is
'Writes a range, and halves it where it fails until the guilty records are alone; they come back in
 x_rejects.';

create or replace function sluice.isolate_step(
    p_job sluice.job, p_step sluice.step, p_alone boolean
)
returns record
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_result record;
begin
    begin
        if (p_job.spec ->> 'self')::boolean then
            v_result := sluice.isolate_levels(p_job, p_step.lo, p_step.hi);
        else
            v_result := sluice.isolate_range(p_job, p_step.lo, p_step.hi, 0, 0, '[]', '{}');
        end if;
        if p_alone and (p_job.options ->> 'dry_run' = 'write' or v_result.x_rejects <> '[]') then
            raise exception 'rolled back' using errcode = 'IO200';
        end if;
    exception when sqlstate 'IO200' then
        -- all or nothing: what went well is undone, what did not is known
        if (p_job.options ->> 'atomic')::boolean and v_result.x_rejects <> '[]' then
            v_result.x_inserted := 0;
            v_result.x_updated := 0;
        end if;
    end;
    return v_result;
end;
$$;
comment on function sluice.isolate_step(sluice.job, sluice.step, boolean) is
'Finds the guilty records of a range that failed; p_alone (atomic, dry run): writes nothing for
 good.';

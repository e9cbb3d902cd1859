create or replace function sluice.own_path(p_spec jsonb)
returns text
language sql immutable
return concat_ws(', ', 'pg_catalog', nullif(p_spec ->> 'search_path', ''), 'pg_temp');
comment on function sluice.own_path(jsonb) is
'The search_path under which functions of a table''s CHECKs, defaults and rules find what they name;
 generated statements name all of their own in full, and pg_catalog comes first.';

create or replace function sluice.cast_range(
    p_job sluice.job, p_lo tid, p_hi tid, p_from bigint, p_to bigint, p_numbers bigint[]
)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rows bigint;
    v_first bigint;
    v_last bigint;
    v_middle bigint;
    v_code text;
    v_message text;
    v_list jsonb;
begin
    begin
        perform set_config('search_path', sluice.own_path(p_job.spec), true);
        execute p_job.statements ->> 'cast' using p_lo, p_hi, p_from, p_to, p_numbers;
        get diagnostics v_rows = row_count;
        for v_list in
            select l from jsonb_array_elements(coalesce(p_job.statements -> 'children', '[]')) as l
        loop
            execute v_list ->> 'cast' using p_lo, p_hi, p_from, p_to, p_numbers;
        end loop;
        return v_rows;
    exception when others then
        v_code := sqlstate;
        v_message := sqlerrm;
        -- 54001: the stack, full of one record's brackets
        if sluice.fault_class(v_code) <> 'record' and v_code <> '54001'
            or sluice.lacks_right(p_job, v_code) then
            raise;
        end if;
    end;

    -- halve the set until the guilty record is alone
    execute format(
        'select min(s._n), max(s._n) from %s as s'
        ' where s.ctid >= $1 and s.ctid < $2 and s._n >= $3 and s._n < $4'
        ' and ($5 is null or s._n = any($5))',
        p_job.spec ->> 'stage'
    ) into v_first, v_last using p_lo, p_hi, p_from, p_to, p_numbers;
    if v_first < v_last then
        v_middle := v_first + (v_last - v_first) / 2 + 1;
        return sluice.cast_range(p_job, p_lo, p_hi, v_first, v_middle, p_numbers)
            + sluice.cast_range(p_job, p_lo, p_hi, v_middle, v_last + 1, p_numbers);
    end if;
    execute format('insert into %s (_n, _errors) values ($1, $2)', p_job.spec ->> 'plan')
    using v_first, jsonb_build_array(sluice.record_error(
        case when v_code like '54%' then 'malformed' else 'check' end, null, null,
        case
            when v_code = '54001' then 'a value is nested deeper than Postgres can read: flatten it'
            else v_message
        end, null, v_code
    ));
    return 1;
end;
$$;
comment on function sluice.cast_range(sluice.job, tid, tid, bigint, bigint, bigint[]) is
'Casts the records of some blocks of the stage into the plan; a record that makes the statement fail
 is found by halving and gets the SQLSTATE as its error. Returns the number of records.';

create or replace function sluice.cast_records(p_job sluice.job, p_step sluice.step)
returns bigint
language plpgsql volatile
set timezone = 'UTC'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set jit = off
set work_mem = '64MB'
set search_path = pg_catalog, pg_temp
as $$
begin
    -- without date_order 01/02/2024 has no meaning and is refused
    perform set_config('datestyle', 'ISO, ' || upper(coalesce(p_job.options ->> 'date_order', 'ymd')), true);
    return sluice.cast_range(
        p_job, format('(%s,0)', p_step.lo)::tid, format('(%s,0)', p_step.hi)::tid,
        p_step.n_from, p_step.n_to, p_step.numbers
    );
end;
$$;
comment on function sluice.cast_records(sluice.job, sluice.step) is
'Casts a range of blocks of the stage, records n_from to n_to of them, with the settings that texts
 are read by pinned. Returns the number of records.';

create or replace function sluice.note_cast(p_job sluice.job, p_step sluice.step, p_rows bigint)
returns bigint
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
update sluice.step as s
set
    state = 'done', finished_at = clock_timestamp(),
    -- those that are cast anew have been counted
    rows = p_rows - coalesce(cardinality(s.numbers), 0)
where s.step_id = p_step.step_id and s.job_id = p_job.job_id
returning s.rows;
end;
comment on function sluice.note_cast(sluice.job, sluice.step, bigint) is
'Records that a step of the cast is done. Returns the number of records.';

create or replace function sluice.cast_step(p_job sluice.job, p_step sluice.step)
returns bigint
language sql volatile
return sluice.note_cast(p_job, p_step, sluice.cast_records(p_job, p_step));
comment on function sluice.cast_step(sluice.job, sluice.step) is
'A step of the cast, with its record.';

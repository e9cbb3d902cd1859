-- A range that another writer has overtaken: matched anew, so that what has become known since is
-- updated or judged, and not taken for a fault of the write.

create or replace function sluice.may_match_again(p_job sluice.job)
returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
begin atomic
select
    -- what the match says of these is kept, or shown, when it is done once
    p_job.spec -> 'children' = '[]'
    and not (p_job.spec ->> 'self')::boolean
    and coalesce(p_job.spec ->> 'role', p_job.spec ->> 'login') is null
    and (p_job.options ->> 'results')::boolean is not true
    and (p_job.options ->> 'atomic')::boolean is not true
    and coalesce(p_job.options ->> 'dry_run', '') <> 'write';
end;
comment on function sluice.may_match_again(sluice.job) is
'Whether a range of a job can be matched by itself.';

create or replace function sluice.match_again(p_job sluice.job, p_step sluice.step)
returns void
language plpgsql volatile
set timezone = 'UTC'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set jit = off
set work_mem = '128MB'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rejects jsonb;
begin
    perform set_config('datestyle', 'ISO, YMD', true);
    -- what is rejected already stays so, though its fault may have gone meanwhile: it is counted
    execute format(
        'insert into %s (_n, _dropped, _error)'
        ' select w._n, false, w._errors -> 0 from %s as w'
        ' where w._n >= $1 and w._n < $2 and w._errors is not null',
        p_job.spec ->> 'extra', p_job.spec ->> 'work'
    ) using p_step.lo, p_step.hi;
    execute format('delete from %s as w where w._n >= $1 and w._n < $2', p_job.spec ->> 'work')
    using p_step.lo, p_step.hi;
    perform sluice.match_range(p_job, p_step.lo, p_step.hi, 0);
    execute format(
        'select coalesce(jsonb_agg(jsonb_build_object(''n'', w._n, ''error'', w._errors -> 0)), ''[]'')'
        ' from %s as w where w._n >= $1 and w._n < $2 and w._errors is not null'
        ' and not exists (select from %s as e where e._n = w._n)',
        p_job.spec ->> 'work', p_job.spec ->> 'extra'
    ) into v_rejects using p_step.lo, p_step.hi;
    perform sluice.reject_writes(p_job, v_rejects);
    update sluice.step as s
    set attempts = s.attempts + 1, claimed_at = null,
        rows = t.o_inserts + t.o_updates, inserted = t.o_inserts, updated = t.o_updates
    from sluice.count_todo(p_job.spec, p_step.lo, p_step.hi) as t
    where s.step_id = p_step.step_id;
end;
$$;
comment on function sluice.match_again(sluice.job, sluice.step) is
'Matches the range of a merge step anew, and leaves the step to be done; records that have become
 wrong are rejected.';

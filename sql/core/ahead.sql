-- Ahead: what has arrived of a large upload is cast while the rest is on its way, by sessions that
-- have nothing better to do. Nothing depends on it: what is not cast when the job begins, or was by
-- other rules, is cast then.

create or replace function sluice.rules_mark()
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- tables of jobs come and go: nothing of theirs is among these
select md5(string_agg(format('%s %s', c.oid, c.version), ',' order by c.kind, c.oid))
from (
    select 1 as kind, p.oid, p.xmin as version from pg_proc as p where p.oid >= 16384
    union all
    select 2, t.oid, t.xmin from pg_type as t where t.typtype in ('d', 'e') and t.oid >= 16384
    union all
    select 3, e.oid, e.xmin from pg_enum as e
    union all
    select 4, k.oid, k.xmin from pg_constraint as k where k.contype = 'c'
) as c;
end;
comment on function sluice.rules_mark() is
'Changes with every change of a function, domain, enum or CHECK: of what a value may be judged by.';

create or replace function sluice.ahead_rows()
returns bigint
language sql stable
return sluice.setting('ahead_rows', '20000')::bigint;
comment on function sluice.ahead_rows() is
'How many records of an upload have to wait before they are cast ahead (sluice.ahead_rows).';

create or replace function sluice.offer_ahead(p_job_id uuid, p_resource text, p_options jsonb)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into sluice.ahead (job_id, resource, options)
    select j.job_id, p_resource, p_options
    from sluice.job as j
    -- the work of a login is done in its own sessions
    where j.job_id = p_job_id and sluice.key_login(j.key_id) is null
    on conflict do nothing;
    perform sluice.announce('work');
end;
$$;
comment on function sluice.offer_ahead(uuid, text, jsonb) is
'Lets what has arrived of a file be cast, by what is known of it so far.';

create or replace function sluice.receive_ahead(job_id uuid, resource text, options jsonb)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
select sluice.offer_ahead(
    job_id, (sluice.known_resource(resource)).name, sluice.check_options(coalesce(options, '{}'))
);
end;
comment on function sluice.receive_ahead(uuid, text, jsonb) is
'Says, in the transaction of a segment, by what an upload will be judged, so that what has arrived
 of it may be cast; when sluice.receive_finish says otherwise it is cast again. IO400, IO404 for what
 cannot be.';

create or replace function sluice.end_ahead(p_job_id uuid)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from sluice.ahead as a where a.job_id = p_job_id;
    delete from sluice.step as s where s.job_id = p_job_id and s.kind = 'cast';
    if not sluice.drop_tables(p_job_id, p_stage => false) then
        raise exception 'somebody holds the tables of import %', p_job_id using errcode = '55P03';
    end if;
end;
$$;
comment on function sluice.end_ahead(uuid) is
'Takes back what was cast ahead of a job. 55P03 when somebody holds its plan.';

create or replace function sluice.cast_ahead(p_job sluice.job, p_ahead sluice.ahead)
returns bigint
language plpgsql volatile
set lock_timeout = '1s'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_step sluice.step;
    v_stride bigint;
begin
    p_job.resource := p_ahead.resource;
    p_job.options := p_job.options || p_ahead.options - 'callback_url';
    if p_ahead.spec is null then
        p_ahead.rules := sluice.rules_mark();
        p_job := sluice.judged_job(p_job);
        perform sluice.create_tables(p_job);
        update sluice.ahead as a
        set spec = p_job.spec, statements = p_job.statements, rules = p_ahead.rules
        where a.job_id = p_job.job_id;
    end if;
    p_job.spec := coalesce(p_ahead.spec, p_job.spec);
    p_job.statements := coalesce(p_ahead.statements, p_job.statements);

    select coalesce(max(s.hi), 0) into v_step.lo
    from sluice.step as s
    where s.job_id = p_job.job_id and s.kind = 'cast';
    v_stride := sluice.cast_stride(p_job);
    -- the block of the last record that is there for good: it may still be filled
    execute format(
        'select ((max(s.ctid)::text)::point)[0]::bigint from %s as s'
        ' where s.ctid >= $1 and s.ctid < $2 and s._n <= $3', p_job.spec ->> 'stage'
    ) into v_step.hi
    using format('(%s,0)', v_step.lo)::tid, format('(%s,0)', v_step.lo + v_stride + 1)::tid, p_job.received;
    if v_step.hi is null or v_step.hi <= v_step.lo then
        return 0;
    end if;
    -- records have their numbers in the order of their commits: all of these are there. What finds
    -- room in one of these blocks later has a greater number
    v_step.n_from := 0;
    v_step.n_to := p_job.received + 1;
    v_step.rows := sluice.cast_records(p_job, v_step);
    -- not waited for: whoever gives the upload up has its row, and waits for this one
    perform from sluice.job as j where j.job_id = p_job.job_id for key share skip locked;
    if not found then
        raise exception 'the upload has come to its end' using errcode = 'IO423';
    end if;
    insert into sluice.step (job_id, kind, lo, hi, n_to, state, rows, finished_at)
    values (p_job.job_id, 'cast', v_step.lo, v_step.hi, v_step.n_to, 'done', v_step.rows, clock_timestamp());
    return v_step.rows;
end;
$$;
comment on function sluice.cast_ahead(sluice.job, sluice.ahead) is
'Casts some 50,000 records of an upload that are there, with a step of its job as the record of it.
 Returns how many; 0: there are no more.';

create or replace function sluice.take_ahead()
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_ahead sluice.ahead;
    v_rows bigint := 0;
begin
    select a.* into v_ahead
    from sluice.ahead as a
    -- by their keys, however many other jobs there are
    cross join lateral (
        select j.received from sluice.job as j
        where j.job_id = a.job_id and (j.state = 'receiving' or j.phase = 'fetch')
        limit 1
    ) as j
    where j.received >= sluice.ahead_rows() + (
        select coalesce(sum(s.rows), 0) from sluice.step as s
        where s.job_id = a.job_id and s.kind = 'cast'
    )
    order by a.job_id
    limit 1
    for update of a skip locked;
    if not found then
        return null;
    end if;
    perform set_config('synchronous_commit', 'off', true);
    select j.* into v_job from sluice.job as j
    where j.job_id = v_ahead.job_id and (j.state = 'receiving' or j.phase = 'fetch');
    if not found then
        return null;
    end if;
    begin
        v_rows := sluice.cast_ahead(v_job, v_ahead);
    exception
        when sqlstate 'IO423' then
            return null;
        when others then
            -- it will fail in its turn, where the reason is told
            perform sluice.end_ahead(v_job.job_id);
    end;
    if v_rows = 0 then
        return null;
    end if;
    return jsonb_build_object(
        'status', 'done', 'job_id', v_job.job_id, 'kind', 'cast', 'rows', v_rows
    );
end;
$$;
comment on function sluice.take_ahead() is
'Casts a part of an upload that is under way. Null: there is none of which sluice.ahead_rows wait.';

create or replace function sluice.hold_ahead(p_job_id uuid)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform from sluice.ahead as a where a.job_id = p_job_id for update skip locked;
    return found or not exists (select from sluice.ahead as a where a.job_id = p_job_id);
end;
$$;
comment on function sluice.hold_ahead(uuid) is
'Keeps others from casting a part of a job ahead for the rest of the transaction; false while one
 does: it will begin the job itself.';

create or replace function sluice.take_over_ahead(p_job sluice.job)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_ahead sluice.ahead;
begin
    delete from sluice.ahead as a where a.job_id = p_job.job_id returning a.* into v_ahead;
    if v_ahead.spec = p_job.spec and v_ahead.statements = p_job.statements then
        if v_ahead.rules = sluice.rules_mark() then
            return true;
        end if;
    end if;
    -- also what a crash of Postgres has left: sluice.ahead is then as empty as the plan
    if v_ahead.spec is not null or exists (
        select from sluice.step as s where s.job_id = p_job.job_id
    ) then
        perform sluice.end_ahead(p_job.job_id);
    end if;
    return false;
end;
$$;
comment on function sluice.take_over_ahead(sluice.job) is
'Whether a job that begins finds a part of its records cast by its own rules; else what was cast by
 others is gone.';

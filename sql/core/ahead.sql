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
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
insert into sluice.ahead (job_id, resource, options)
select j.job_id, p_resource, p_options
from sluice.job as j
-- the work of a login is done in its own sessions
where j.job_id = p_job_id and sluice.key_login(j.key_id) is null
    -- an insert in vain would wait for whoever is casting
    and not exists (select from sluice.ahead as a where a.job_id = p_job_id)
on conflict do nothing;
select sluice.announce('work');
end;
comment on function sluice.offer_ahead(uuid, text, jsonb) is
'Lets what has arrived of a file be cast, by what is known of it so far.';

create or replace function sluice.receive_ahead(job_id uuid, resource text, options jsonb)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform sluice.check_resource(resource);
    perform sluice.offer_ahead(
        job_id, (sluice.known_resource(resource)).name, sluice.check_options(coalesce(options, '{}'))
    );
exception when others then
    -- it is told when the file is accepted, or not: that may be with other words
    null;
end;
$$;
comment on function sluice.receive_ahead(uuid, text, jsonb) is
'Says, in the transaction of a segment, by what an upload will be judged, so that what has arrived
 of it may be cast; when sluice.receive_finish says otherwise it is cast again.';

create or replace function sluice.ahead_tables(p_job_id uuid)
returns jsonb
language sql immutable
return jsonb_build_object(
    'plan', sluice.stage_name(p_job_id, 'p0'), 'work', sluice.stage_name(p_job_id, 'w0'),
    'extra', sluice.stage_name(p_job_id, 'e0')
);
comment on function sluice.ahead_tables(uuid) is
'What a spec calls the tables of a job that are made before it begins. They have names of their own:
 when others are made in their place, somebody (a dump) may hold these.';

create or replace function sluice.may_cast_ahead(p_spec jsonb)
returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select p_spec ->> 'login' is null and p_spec -> 'children' = '[]' and not exists (
    select from pg_type as t
    left join pg_type as e on t.typelem = e.oid
    where 'c' in (t.typtype, e.typtype) and t.oid in (
        select to_regtype(f ->> 'base_type') from jsonb_array_elements(p_spec -> 'fields') as f
    )
);
end;
comment on function sluice.may_cast_ahead(jsonb) is
'Whether a change of what judges a value would be seen: not of a composite type. Lists of children
 are judged with their record.';

create or replace function sluice.cast_ahead(p_job sluice.job, p_ahead sluice.ahead)
returns bigint
language plpgsql volatile
set lock_timeout = '1s'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_step sluice.step;
begin
    p_job.resource := p_ahead.resource;
    p_job.options := p_job.options || p_ahead.options - 'callback_url';
    select coalesce(max(s.hi), 0) into v_step.lo
    from sluice.step as s
    where s.job_id = p_job.job_id and s.kind = 'cast';
    -- the block of the last record that is there for good: it may still be filled
    execute format(
        'select ((max(s.ctid)::text)::point)[0]::bigint from %s as s'
        ' where s.ctid >= $1 and s.ctid < $2 and s._n <= $3', sluice.stage_name(p_job.job_id)
    ) into v_step.hi
    using format('(%s,0)', v_step.lo)::tid,
        format('(%s,0)', v_step.lo + sluice.cast_stride(p_job) + 1)::tid, p_job.received;
    if v_step.hi is null or v_step.hi <= v_step.lo then
        return 0;
    end if;

    if p_ahead.spec is null then
        p_ahead.rules := sluice.rules_mark();
        p_job := sluice.judged_job(p_job, sluice.ahead_tables(p_job.job_id));
        if not sluice.may_cast_ahead(p_job.spec) then
            raise exception 'not ahead' using errcode = 'IO409';
        end if;
        perform sluice.create_tables(p_job);
        update sluice.ahead as a
        set spec = p_job.spec, statements = p_job.statements, rules = p_ahead.rules
        where a.job_id = p_job.job_id;
    else
        p_job.spec := p_ahead.spec;
        p_job.statements := p_ahead.statements;
    end if;
    -- records have their numbers in the order of their commits: all of these are there. What finds
    -- room in one of these blocks later has a greater number
    v_step.n_from := 0;
    v_step.n_to := p_job.received + 1;
    v_step.rows := sluice.cast_records(p_job, v_step);
    -- not waited for: whoever ends the job has its row, and waits for this one
    perform from sluice.job as j
    where j.job_id = p_job.job_id and j.completed_at is null
    for key share skip locked;
    if not found then
        raise exception 'the upload has come to its end' using errcode = 'IO423';
    end if;
    insert into sluice.step (job_id, kind, lo, hi, n_to, state, rows, finished_at)
    values (
        p_job.job_id, 'cast', v_step.lo, v_step.hi, v_step.n_to, 'done', v_step.rows, clock_timestamp()
    );
    return v_step.rows;
end;
$$;
comment on function sluice.cast_ahead(sluice.job, sluice.ahead) is
'Casts some 50,000 records of an upload that are there, with a step of its job as the record of it.
 Returns how many; 0: there are no more. IO409 when nothing may be cast, IO423 when it is no longer
 on its way.';

create or replace function sluice.take_ahead()
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_ahead sluice.ahead;
    v_rows bigint;
    v_tried uuid[] := '{}';
begin
    loop
        select a.* into v_ahead
        from sluice.ahead as a
        -- by their keys, however many other jobs there are
        cross join lateral (
            select j.received from sluice.job as j
            where j.job_id = a.job_id and (j.state = 'receiving' or j.phase = 'fetch')
            limit 1
        ) as j
        where not a.ended and a.job_id <> all(v_tried) and j.received >= sluice.ahead_rows() + (
            select coalesce(sum(s.rows), 0) from sluice.step as s
            where s.job_id = a.job_id and s.kind = 'cast'
        )
        order by a.job_id
        limit 1
        for update of a skip locked;
        if not found then
            return null;
        end if;
        v_tried := v_tried || v_ahead.job_id;
        select j.* into v_job from sluice.job as j
        where j.job_id = v_ahead.job_id and (j.state = 'receiving' or j.phase = 'fetch');
        -- whoever cancels it finds who is at work by this
        continue when not found or not sluice.hold_job(v_job.job_id);
        perform set_config('synchronous_commit', 'off', true);
        begin
            v_rows := sluice.cast_ahead(v_job, v_ahead);
        exception
            when sqlstate 'IO423' then
                continue;
            when query_canceled or others then
                -- in its turn it will fail again, or not; there the reason is told
                update sluice.ahead as a set ended = true where a.job_id = v_job.job_id;
                continue;
        end;
        exit when v_rows > 0;
    end loop;
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

create or replace function sluice.doubt_ahead(p_job sluice.job)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_doubtful bigint[];
    v_end sluice.step;
begin
    execute format(
        'select array(select p._n from %s as p where p._errors is not null)', p_job.spec ->> 'plan'
    ) into v_doubtful;
    select max(s.hi), max(s.n_to), sum(s.rows) into v_end.hi, v_end.n_to, v_end.rows
    from sluice.step as s
    where s.job_id = p_job.job_id and s.kind = 'cast';
    if cardinality(v_doubtful) > least(v_end.rows / 5, 100000) then
        return false;
    end if;
    if v_doubtful <> '{}' then
        execute format('delete from %s as p where p._errors is not null', p_job.spec ->> 'plan');
        insert into sluice.step (job_id, kind, hi, n_to, numbers)
        values (p_job.job_id, 'cast', v_end.hi, v_end.n_to, v_doubtful);
    end if;
    return true;
end;
$$;
comment on function sluice.doubt_ahead(sluice.job) is
'Has what was found wrong ahead of a job be cast again: the row that a record refers to may have
 come since. What was found good needs no second look, since the write asks once more. False when so many
 were wrong that all may as well be cast again.';

create or replace function sluice.take_over_ahead(inout p_job sluice.job, out o_done bigint)
returns record
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_ahead sluice.ahead;
    v_own constant jsonb := p_job.spec;
begin
    delete from sluice.ahead as a where a.job_id = p_job.job_id returning a.* into v_ahead;
    if v_ahead.spec = p_job.spec || sluice.ahead_tables(p_job.job_id) then
        p_job.spec := v_ahead.spec;
        if v_ahead.statements = sluice.import_statements(p_job.spec)
            and v_ahead.rules = sluice.rules_mark() and sluice.doubt_ahead(p_job) then
            p_job.statements := v_ahead.statements;
            -- what found room in these blocks later
            insert into sluice.step (job_id, kind, lo, hi, n_from)
            select p_job.job_id, 'cast', s.lo, s.hi, s.n_to from sluice.step as s
            where s.job_id = p_job.job_id and s.kind = 'cast' and s.state = 'done'
            order by s.lo;
            select sum(s.rows) into o_done
            from sluice.step as s
            where s.job_id = p_job.job_id and s.kind = 'cast';
            return;
        end if;
        p_job.spec := v_own;
    end if;
    -- also what a crash of Postgres has left: sluice.ahead is then as empty as the plan
    delete from sluice.step as s where s.job_id = p_job.job_id;
    if found or v_ahead.spec is not null then
        perform sluice.drop_tables(p_job.job_id, p_stage => false);
    end if;
end;
$$;
comment on function sluice.take_over_ahead(sluice.job) is
'Takes over what was cast of a file before its job begins, if it was by the job''s own rules:
 returns the job with its tables, and how many records are done. Null, and the job as it was: there is
 nothing.';

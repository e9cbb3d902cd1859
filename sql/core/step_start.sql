create or replace function sluice.import_statements(p_spec jsonb)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select jsonb_strip_nulls(jsonb_build_object(
    'create_plan', sluice.sql_create_plan(p_spec),
    'create_work', format(
        'create unlogged table %s'
        ' (_n bigint not null, _via integer, _action "char", _errors jsonb%s)'
        ' with (autovacuum_enabled = false)',
        p_spec ->> 'work',
        (
            select string_agg(format(', %I %s', f ->> 'name', f ->> 'base_type'), '')
            from jsonb_array_elements(p_spec -> 'fields') as f
            where (f ->> 'is_key')::boolean
        )
    ),
    'create_extra', format(
        'create unlogged table %s (_n bigint not null, _dropped boolean not null, _error jsonb)'
        ' with (autovacuum_enabled = false)', p_spec ->> 'extra'
    ),
    'cast', sluice.sql_cast(p_spec),
    'duplicates', (
        select jsonb_agg(sluice.sql_duplicates(p_spec, k) order by (k ->> 'place')::integer)
        from jsonb_array_elements(p_spec -> 'keys') as k
        where (k ->> 'usable')::boolean
    ),
    'match', sluice.sql_match(p_spec),
    'fallback_conflicts', (
        select jsonb_agg(sluice.sql_fallback_conflicts(p_spec, k) order by (k ->> 'match')::integer)
        from jsonb_array_elements(p_spec -> 'keys') as k
        where k ->> 'match' is not null and exists (
            select from jsonb_array_elements(p_spec -> 'keys') as o
            where (o ->> 'match')::integer > (k ->> 'match')::integer
        )
    ),
    'self_references', (
        select jsonb_agg(s.statement)
        from jsonb_array_elements(p_spec -> 'references') as r
        cross join lateral (select sluice.sql_self_references(p_spec, r) as statement) as s
        where (r ->> 'is_self')::boolean and s.statement is not null
    ),
    'insert', sluice.sql_insert(p_spec),
    'update', sluice.sql_update(p_spec),
    'found', case when p_spec ->> 'role' is not null then sluice.sql_found(p_spec) end,
    'hidden', case when p_spec ->> 'role' is not null then sluice.sql_hidden(p_spec) end,
    'sample', sluice.sql_sample(p_spec),
    'children', (
        select jsonb_agg(sluice.list_statements(p_spec, c) order by (c ->> 'place')::integer)
        from jsonb_array_elements(p_spec -> 'children') as c
    )
));
end;
comment on function sluice.import_statements(jsonb) is
'Every statement of an import, by name: what sluice.explain_import shows and the steps execute.';

create or replace function sluice.create_tables(p_job sluice.job)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_list jsonb;
    v_table text;
    v_tables constant text[] := array[
        p_job.spec ->> 'plan', p_job.spec ->> 'work', p_job.spec ->> 'extra'
    ] || array(
        select n.name from jsonb_array_elements(p_job.spec -> 'children') as c
        cross join lateral (values (c ->> 'plan'), (c ->> 'work')) as n (name)
    );
begin
    execute p_job.statements ->> 'create_plan';
    execute p_job.statements ->> 'create_work';
    execute p_job.statements ->> 'create_extra';
    for v_list in select l from jsonb_array_elements(coalesce(p_job.statements -> 'children', '[]')) as l loop
        execute v_list ->> 'create_plan';
        execute v_list ->> 'create_work';
    end loop;
    for v_table in select t from unnest(v_tables) as t loop
        perform sluice.share_table(v_table);
    end loop;
    -- what the merge reads when it writes under the role of an API key
    if p_job.spec ->> 'role' is not null then
        if not has_schema_privilege(p_job.spec ->> 'role', 'sluice_stage', 'usage') then
            execute format('grant usage on schema sluice_stage to %I', p_job.spec ->> 'role');
        end if;
        execute format(
            'grant select on %s to %I', (
                select string_agg(t, ', ') from unnest(v_tables) as t
            ), p_job.spec ->> 'role'
        );
    end if;
    perform sluice.share_plan(p_job, v_tables);
end;
$$;
comment on function sluice.create_tables(sluice.job) is
'Creates the plan and work tables of a job.';

create or replace function sluice.drop_tables(p_job_id uuid, p_stage boolean default true)
returns boolean
language plpgsql volatile
-- a dump may hold a lock for hours: whoever cannot drop at once leaves it to the sweeper
set lock_timeout = '100ms'
set search_path = pg_catalog, pg_temp
as $$
declare
    v_table text;
begin
    for v_table in
        select format('sluice_stage.%I', c.relname)
        from pg_class as c
        where c.relnamespace = 'sluice_stage'::regnamespace and c.relkind = 'r'
            and c.relname like '%\_' || replace(p_job_id::text, '-', '')
            and (p_stage or c.relname not like 's\_%')
    loop
        execute format('drop table if exists %s', v_table);
    end loop;
    return true;
-- or it belongs to a login that is not the service's
exception when lock_not_available or insufficient_privilege then
    return false;
end;
$$;
comment on function sluice.drop_tables(uuid, boolean) is
'Drops the tables of a job, its stage only if asked to; false when somebody holds one of them.';

create or replace function sluice.judged_job(p_job sluice.job, p_tables jsonb default '{}')
returns sluice.job
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    p_job.spec := sluice.import_spec(
        p_job.job_id, p_job.resource, p_job.header, p_job.shape, p_job.options
    ) || jsonb_build_object('role', sluice.key_role(p_job.key_id), 'large', p_job.received > 1000) || p_tables;
    p_job.spec := sluice.at_login(p_job.spec, sluice.key_login(p_job.key_id));
    perform sluice.check_role(coalesce(p_job.spec ->> 'login', p_job.spec ->> 'role'), p_job.spec);
    p_job.statements := sluice.import_statements(p_job.spec);
    return p_job;
end;
$$;
comment on function sluice.judged_job(sluice.job, jsonb) is
'A job with its spec and statements as the registry, its table and its key are now; p_tables: names
 of its tables, if not the usual ones. IO400, IO403.';

create or replace function sluice.cast_stride(p_job sluice.job)
returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select greatest(1, 50000 * (
    pg_relation_size(to_regclass(sluice.stage_name(p_job.job_id)))
    / current_setting('block_size')::bigint
) / greatest(p_job.received, 1));
end;
comment on function sluice.cast_stride(sluice.job) is
'How many blocks of the stage hold some 50,000 records.';

create or replace function sluice.start_job(p_job_id uuid)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job sluice.job;
    v_blocks bigint;
    v_taken record;
    v_begin bigint := 0;
    v_stride bigint;
begin
    select j.* into v_job from sluice.job as j where j.job_id = p_job_id;
    -- the table may have changed since the job was accepted
    v_job := sluice.judged_job(v_job);
    select t.* into v_taken from sluice.take_over_ahead(v_job) as t;
    v_job := v_taken.p_job;
    if v_taken.o_done is null then
        perform sluice.create_tables(v_job);
    else
        select max(s.hi) into v_begin
        from sluice.step as s
        where s.job_id = p_job_id and s.kind = 'cast';
    end if;
    update sluice.job as j
    set
        spec = v_job.spec,
        statements = v_job.statements,
        ignored_fields = sluice.ignored_fields(v_job.spec),
        -- the rules that judge, not this job's table names
        fingerprint = md5((v_job.spec - '{job_id,stage,plan,work,extra,children,options}'::text[])::text),
        state = 'processing',
        phase = 'cast',
        done = coalesce(v_taken.o_done, 0),
        started_at = coalesce(j.started_at, clock_timestamp())
    where j.job_id = p_job_id;
    v_blocks := pg_relation_size(to_regclass(v_job.spec ->> 'stage')) / current_setting('block_size')::bigint;
    v_stride := sluice.cast_stride(v_job);
    insert into sluice.step (job_id, kind, lo, hi)
    select p_job_id, 'cast', b, b + v_stride
    from generate_series(v_begin, greatest(v_blocks - 1, 0), v_stride) as b;
    return 0;
end;
$$;
comment on function sluice.start_job(uuid) is
'Begins a job: reads the registry afresh, generates the statements, makes the plan and the cast
 steps.';

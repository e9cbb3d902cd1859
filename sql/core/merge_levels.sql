create or replace function sluice.rank_levels(p_job sluice.job)
returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_parents text;
    v_rows bigint;
    v_level integer := 0;
begin
    -- the self references of which both ends stand in the file
    select string_agg(format(
        'exists (select from %s as o inner join %s as ow on ow._n = o._n and ow._action = ''i'''
        ' where %s and o._n <> p._n and not exists'
        ' (select from pg_temp.pgsluice_levels as l where l._n = o._n))',
        p_job.spec ->> 'plan', p_job.spec ->> 'work', (
            select string_agg(format('o.%I %s p.%I', r -> 'target_columns' ->> (c.place - 1)::integer,
                r -> 'operators' ->> (c.place - 1)::integer, c.name), ' and ')
            from jsonb_array_elements_text(r -> 'columns') with ordinality as c (name, place)
        )
    ), ' or ') into v_parents
    from jsonb_array_elements(p_job.spec -> 'references') as r
    where (r ->> 'is_self')::boolean and not exists (
        select from jsonb_array_elements(p_job.spec -> 'fields') as f
        where (r -> 'columns' ? (f ->> 'name') or r -> 'target_columns' ? (f ->> 'name'))
            and not (f ->> 'given')::boolean
    );
    create temporary table pgsluice_levels (_n bigint primary key, _level integer not null) on commit drop;
    loop
        execute format($sql$
            insert into pg_temp.pgsluice_levels (_n, _level)
            select w._n, $1
            from %s as w
            inner join %s as p on p._n = w._n
            where w._action in ('i', 'u', 'c')
                and not exists (select from %s as e where e._n = w._n)
                and not exists (select from pg_temp.pgsluice_levels as l where l._n = w._n)
                and not ($2 and (%s))
        $sql$, p_job.spec ->> 'work', p_job.spec ->> 'plan', p_job.spec ->> 'extra', coalesce(v_parents, 'false'))
        -- past a thousand levels, and in rings, the rest goes together
        using v_level, v_level < 1000;
        get diagnostics v_rows = row_count;
        exit when v_rows = 0 and v_level >= 1000;
        v_level := case when v_rows = 0 then 1000 else v_level + 1 end;
    end loop;
    return (select coalesce(max(l._level), 0) from pg_temp.pgsluice_levels as l);
end;
$$;
comment on function sluice.rank_levels(sluice.job) is
'Ranks the records of a table that refers to itself: level 0 needs no other record of the file,
 level 1 only those of level 0, and so on. Returns the highest level.';

create or replace function sluice.isolate_levels(
    p_job sluice.job, p_from bigint, p_to bigint,
    out x_inserted bigint, out x_updated bigint, out x_rejects jsonb, out x_children jsonb
)
returns record
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_done record;
    v_rejects jsonb;
    v_level integer;
    v_statement text;
    v_rows bigint;
    v_total bigint;
begin
    x_inserted := 0;
    x_updated := 0;
    x_rejects := '[]';
    x_children := '{}';
    perform sluice.rank_levels(p_job);
    for v_level in select distinct l._level from pg_temp.pgsluice_levels as l order by l._level loop
        -- the other levels look away while this one is written
        execute format(
            'insert into %s (_n, _dropped, _error) select l._n, true, ''"level"'''
            ' from pg_temp.pgsluice_levels as l where l._level <> $1', p_job.spec ->> 'extra'
        ) using v_level;
        v_done := sluice.isolate_range(p_job, p_from, p_to, x_inserted, x_updated, '[]', x_children);
        x_inserted := v_done.x_inserted;
        x_updated := v_done.x_updated;
        x_children := v_done.x_children;
        v_rejects := v_done.x_rejects;
        execute format('delete from %s as e where e._dropped and e._error = ''"level"''', p_job.spec ->> 'extra');
        if v_rejects = '[]' then
            continue;
        end if;
        -- whoever needs a rejected parent falls with it
        execute format(
            'insert into %s (_n, _dropped, _error)'
            ' select (r ->> ''n'')::bigint, false, r -> ''error'' from jsonb_array_elements($1) as r',
            p_job.spec ->> 'extra'
        ) using v_rejects;
        x_rejects := x_rejects || v_rejects;
        loop
            v_total := 0;
            for v_statement in
                select s from jsonb_array_elements_text(p_job.statements -> 'self_references') as s
            loop
                execute v_statement;
                get diagnostics v_rows = row_count;
                v_total := v_total + v_rows;
            end loop;
            exit when v_total = 0;
        end loop;
        execute format($sql$
            select $1 || coalesce(jsonb_agg(jsonb_build_object('n', e._n, 'error', e._error)), '[]')
            from (
                select distinct on (e._n) e._n, e._error
                from %s as e
                inner join pg_temp.pgsluice_levels as l on l._n = e._n
                where not e._dropped
                    and not exists (
                        select from jsonb_array_elements($1) as r where (r ->> 'n')::bigint = e._n
                    )
                order by e._n
            ) as e
        $sql$, p_job.spec ->> 'extra') into x_rejects using x_rejects;
        -- what fell is out of its level: extra says so from here on
        delete from pg_temp.pgsluice_levels as l
        where exists (select from jsonb_array_elements(x_rejects) as r where (r ->> 'n')::bigint = l._n);
    end loop;
    drop table pg_temp.pgsluice_levels;
end;
$$;
comment on function sluice.isolate_levels(sluice.job, bigint, bigint) is
'Writes the records of a table that refers to itself level by level, parents first, and finds the
 guilty ones; their descendants in the file are rejected as references.';

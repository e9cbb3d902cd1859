create or replace function sluice.spec_keys(p_spec jsonb, p_fields jsonb, p_match jsonb)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_keys jsonb;
    v_name text;
    v_order text[] := '{}';
    v_found text;
begin
    -- a key can be asked for only when the file has all that it reads
    select coalesce(jsonb_agg(k.key || jsonb_build_object(
        'usable', not exists (
            select
            from jsonb_array_elements_text(k.key -> 'columns') as c (name)
            where not exists (
                select from jsonb_array_elements(p_fields) as f (field)
                where f.field ->> 'name' = c.name and (f.field ->> 'given')::boolean
            )
        )
    ) order by (k.key ->> 'place')::integer), '[]')
    into v_keys
    from jsonb_array_elements(p_spec -> 'keys') as k (key);

    for v_name in select m from jsonb_array_elements_text(coalesce(p_match, '[]')) as m loop
        select k.key ->> 'name' into v_found
        from jsonb_array_elements(v_keys) as k (key)
        where k.key ->> 'name' = v_name
            or (
                select array_agg(c order by c) from jsonb_array_elements_text(k.key -> 'columns') as c
            ) = (
                select array_agg(c order by c) from unnest(string_to_array(v_name, '+')) as c
            )
        order by (k.key ->> 'usable')::boolean desc, k.key ->> 'name' = v_name desc,
            (k.key ->> 'predicate') is null desc
        limit 1;
        if not found then
            raise exception 'option match names %, which is no key of %',
                quote_literal(v_name), p_spec ->> 'resource' using
                errcode = 'IO400', hint = 'keys are ' || coalesce((
                    select string_agg((
                        select string_agg(c, '+') from jsonb_array_elements_text(k.key -> 'columns') as c
                    ), ', ')
                    from jsonb_array_elements(v_keys) as k (key)
                ), 'none: the table has no unique index');
        end if;
        if not exists (
            select from jsonb_array_elements(v_keys) as k (key)
            where k.key ->> 'name' = v_found and (k.key ->> 'usable')::boolean
        ) then
            raise exception 'option match names %, but the file lacks a field of it', quote_literal(v_name)
                using errcode = 'IO400', hint = 'add the field to the file, or match by another key';
        end if;
        v_order := v_order || v_found;
    end loop;

    return (
        select coalesce(jsonb_agg(k.key || jsonb_build_object(
            'match', case
                -- without a key that names rows, what is found cannot be written
                when not (k.key ->> 'usable')::boolean or p_spec -> 'identity' = '[]' then null
                when p_match is null then (k.key ->> 'place')::integer
                else array_position(v_order, k.key ->> 'name')
            end
        ) order by (k.key ->> 'place')::integer), '[]')
        from jsonb_array_elements(v_keys) as k (key)
    );
end;
$$;
comment on function sluice.spec_keys(jsonb, jsonb, jsonb) is
'The keys of a table spec with usable (the file has all of it) and match (its place in the order in
 which records look for their row; null: judged for uniqueness only). IO400 for a match by no key.';

create or replace function sluice.spec_checks(p_spec jsonb, p_fields jsonb)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select coalesce(jsonb_agg(c.item || jsonb_build_object(
    'judged', (p_spec ->> 'prejudge')::boolean and not (c.item ->> 'whole_row')::boolean,
    -- all that it reads may stand in the record itself
    'early', not exists (
        select from jsonb_array_elements(p_fields) as f (field)
        where c.item -> 'columns' ? (f.field ->> 'name') and not (f.field ->> 'given')::boolean
    ),
    -- some record may lack a field of it
    'late', exists (
        select from jsonb_array_elements(p_fields) as f (field)
        where
            c.item -> 'columns' ? (f.field ->> 'name')
            and f.field ->> 'has' <> 'true'
            and not (
                (f.field ->> 'not_null')::boolean and f.field ->> 'default' is null
                and (f.field ->> 'given')::boolean and f.field ->> 'cell' is not null
            )
    ),
    'blame', c.item -> 'columns' ->> -1,
    'has_all', (
        select string_agg(f.field ->> 'has', ' and ' order by (f.field ->> 'attnum')::integer)
        from jsonb_array_elements(p_fields) as f (field)
        where c.item -> 'columns' ? (f.field ->> 'name') and f.field ->> 'has' <> 'true'
    ),
    'has_any', (
        -- a generated column changes with what it is made of
        select string_agg(
            case when (f.field ->> 'generated')::boolean then 'true' else f.field ->> 'has' end,
            ' or ' order by (f.field ->> 'attnum')::integer
        )
        from jsonb_array_elements(p_fields) as f (field)
        where c.item -> 'columns' ? (f.field ->> 'name')
    )
) order by (c.item ->> 'place')::integer), '[]')
from jsonb_array_elements(p_spec -> 'checks') as c (item);
end;
comment on function sluice.spec_checks(jsonb, jsonb) is
'The CHECKs of a table spec with when to judge each: judged at all, early (over the record alone),
 late (over the row that would result), and which field to blame: the last one that it names.';

create or replace function sluice.spec_rules(p_spec jsonb)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rule jsonb;
begin
    for v_rule in select r from jsonb_array_elements(p_spec -> 'rules') as r loop
        begin
            -- planning it is compiling it: a body is bound late
            execute format(
                'select %s(null::%s)', v_rule ->> 'function', p_spec ->> 'table'
            );
        exception when others then
            raise exception 'rule % of % no longer works: %',
                v_rule ->> 'code', p_spec ->> 'resource', sqlerrm using
                errcode = 'IO409', hint = format(
                    'mend the function %s, or take the rule back: select sluice.drop_rule(%L, %L)',
                    v_rule ->> 'function', p_spec ->> 'resource', v_rule ->> 'code'
                );
        end;
    end loop;
    return p_spec -> 'rules';
end;
$$;
comment on function sluice.spec_rules(jsonb) is
'The rules of a table spec, each tried on a null row. IO409, by name, for one that does not
 compile.';

create or replace function sluice.import_spec(
    p_job_id uuid, p_resource text, p_header text[], p_shape text, p_options jsonb
)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_spec jsonb := sluice.table_spec(p_resource);
    v_source constant text := case when p_shape = 'line' then 'json' else 'csv' end;
    v_columns jsonb := '[]';
    v_names jsonb := sluice.map_names(v_spec, p_options -> 'mapping');
    v_fields jsonb;
    v_keys jsonb;
    v_id constant text := replace(p_job_id::text, '-', '');
    v_bad text;
begin
    perform sluice.check_resource(p_resource);
    if v_source = 'csv' then
        v_columns := sluice.match_header(v_spec, p_header, p_options);
    end if;
    v_spec := sluice.allow_lists(v_spec, v_columns, p_job_id);
    select d into v_bad
    from jsonb_object_keys(coalesce(p_options -> 'defaults', '{}')) as d
    where not exists (
        select from jsonb_array_elements(v_spec -> 'fields') as f (field)
        where f.field ->> 'name' = d and not (f.field ->> 'generated')::boolean
    )
    limit 1;
    if found then
        raise exception 'option defaults names %, which is no field of %', quote_literal(v_bad), p_resource
            using errcode = 'IO400';
    end if;
    v_fields := sluice.spec_fields(v_spec, v_columns, p_options, v_source, p_shape);
    v_keys := sluice.spec_keys(v_spec, v_fields, p_options -> 'match');
    if v_spec -> 'identity' = '[]' and p_options ->> 'mode' is distinct from 'insert' then
        if p_options ->> 'mode' is not null then
            raise exception '% has no key by which to find a row', p_resource using
                errcode = 'IO400', hint = 'import with mode=insert, or give the table a primary key';
        end if;
    end if;
    if p_options ->> 'mode' = 'update' and not exists (
        select from jsonb_array_elements(v_keys) as k (key) where k.key ->> 'match' is not null
    ) then
        raise exception 'the file has no key of %, so mode=update finds nothing', p_resource using
            errcode = 'IO400', hint = 'add the fields of a key to the file';
    end if;
    return v_spec || jsonb_build_object(
        'job_id', p_job_id,
        'source', v_source,
        'shape', p_shape,
        'stage', 'sluice_stage.s_' || v_id,
        'plan', 'sluice_stage.p_' || v_id,
        'work', 'sluice_stage.w_' || v_id,
        'extra', 'sluice_stage.e_' || v_id,
        'options', p_options,
        'columns', v_columns,
        'header', to_jsonb(p_header),
        'names', v_names,
        'folded', sluice.folded_names(v_names),
        'fields', v_fields,
        'keys', v_keys,
        'checks', sluice.spec_checks(v_spec, v_fields),
        'rules', sluice.spec_rules(v_spec),
        'self', exists (
            select from jsonb_array_elements(v_spec -> 'references') as r (item)
            where (r.item ->> 'is_self')::boolean
        ),
        'children', sluice.spec_children(v_spec, v_columns, p_shape, v_id, v_names, p_options)
    );
end;
$$;
comment on function sluice.import_spec(uuid, text, text[], text, jsonb) is
'Everything that decides how a job judges and merges: the table spec, the file''s columns, the
 options. The generators (sluice.sql_*) read nothing else. IO400 for what the file or the options
 get wrong.';

-- The registry: register, unregister, add_rule, drop_rule.

create or replace function sluice.register(
    resource text,
    target regclass,
    aliases jsonb default '{}',
    created_field text default null,
    updated_field text default null,
    prejudge boolean default false,
    parent text default null,
    parent_field text default null,
    position_field text default null,
    trust_owner boolean default false,
    -- evaluated where the caller stands, before the function's own path is set
    search_path text default current_setting('search_path')
)
returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    v_class pg_class;
    v_name text;
begin
    if resource is null or resource !~ '^[a-z][a-z0-9_]{0,62}$' then
        raise exception '% is not a name for a resource', coalesce(quote_literal(resource), 'null') using
            errcode = 'IO400', hint = 'use a-z, 0-9 and _, beginning with a letter, at most 63 characters';
    end if;
    select c.* into v_class from pg_class as c where c.oid = target;
    if not found or v_class.relkind not in ('r', 'p') or v_class.relpersistence = 't'
        or v_class.relnamespace in (
            'pg_catalog'::regnamespace, 'sluice'::regnamespace, 'sluice_stage'::regnamespace
        ) then
        raise exception '% cannot be registered', coalesce(target::text, 'null') using
            errcode = 'IO400', hint = 'register an ordinary or partitioned table of your own';
    end if;
    -- its triggers, CHECK functions and defaults run as whoever imports
    if not trust_owner and not exists (
        select from pg_roles as r
        where r.oid = v_class.relowner
            -- who owns our own functions could do as much without a table
            and (r.rolsuper or r.rolname = 'sluice_owner' or pg_has_role(r.oid, current_user, 'member'))
    ) then
        raise exception 'the owner of %, %, is not trusted like %',
            target::text, pg_get_userbyid(v_class.relowner), current_user using
            errcode = 'IO403',
            hint = 'the table''s triggers and functions would run with the rights of the service; '
            'if its owner may have those, register it with trust_owner => true';
    end if;
    select a.attname into v_name
    from pg_attribute as a
    where a.attrelid = target and a.attnum > 0 and not a.attisdropped
        and a.attname ~ ('^_(n|i|row|raw|errors|unknown|ignored|via|action|bad|changed|fault|found|doc|line'
            '|line_no|malformed|problem|given|pattern|image|turn|parent|list'
            '|(has|key|takes|list|is_list|cell|cell_list|to|new|conflict|part)_[0-9_]+)$')
    limit 1;
    if found then
        raise exception 'column % of % has a name that imports use themselves', v_name, target::text using
            errcode = 'IO400', hint = 'rename it, or register a table without it';
    end if;
    select f.name into v_name
    from (
        select e.value from jsonb_each_text(aliases) as e
        union all
        select u.value from unnest(array[created_field, updated_field, parent_field, position_field]) as u (value)
        where u.value is not null
    ) as f (name)
    where not exists (
        select from pg_attribute as a
        where a.attrelid = target and a.attname = f.name and a.attnum > 0 and not a.attisdropped
    )
    limit 1;
    if found then
        raise exception '% has no column %', target::text, quote_literal(v_name) using
            errcode = 'IO400', hint = 'aliases, created_field, updated_field, parent_field and '
            'position_field name columns of the table';
    end if;
    if parent is not null and not exists (
        select
        from sluice.resource as p
        inner join sluice.catalog_references(target) as r on p.target = r.target
        where p.name = parent and r.columns = array[parent_field]
            and to_jsonb(r.target_columns) = sluice.table_spec(p.name) -> 'identity'
    ) then
        raise exception '%.% does not refer to the primary key of resource %',
            target::text, coalesce(parent_field, 'null'), quote_literal(parent) using
            errcode = 'IO400',
            hint = 'register the parent first, and name the foreign key''s column as parent_field';
    end if;

    if parent is not null and not exists (
        select from pg_index as i
        where i.indrelid = target and i.indisprimary and not exists (
            select from pg_attribute as a
            where a.attrelid = target and a.attname = parent_field and a.attnum = any(i.indkey)
        )
    ) then
        raise exception '% has no primary key of its own, which rows of a list need', target::text
            using errcode = 'IO400', hint = format(
                'give the table a primary key without %s, such as an id', parent_field
            );
    end if;

    insert into sluice.resource as r (
        name, target, aliases, created_field, updated_field, prejudge, search_path,
        parent, parent_field, position_field
    )
    values (
        resource, target, aliases, created_field, updated_field, prejudge, search_path,
        parent, parent_field, position_field
    )
    on conflict (name) do update set
        target = excluded.target,
        aliases = excluded.aliases,
        created_field = excluded.created_field,
        updated_field = excluded.updated_field,
        prejudge = excluded.prejudge,
        search_path = excluded.search_path,
        parent = excluded.parent,
        parent_field = excluded.parent_field,
        position_field = excluded.position_field;
    return sluice.describe(resource);
end;
$$;
comment on function sluice.register(
    text, regclass, jsonb, text, text, boolean, text, text, text, boolean, text
) is
'Makes a table an import and export endpoint; again with other parameters, changes it.
 resource: its name in the API. aliases: {"file name": "column"}. created_field, updated_field:
 columns that say when a row was made and last changed. prejudge: judge CHECKs before the write
 although the table has BEFORE ROW triggers. parent, parent_field, position_field: records of the
 parent may carry a list of these rows. trust_owner: the table''s owner may run code as the service.
 search_path: for the table''s own code; the caller''s by default. Returns sluice.describe.
 Errors: IO400 what cannot be registered, IO403 an owner who is not trusted.';

create or replace function sluice.unregister(resource text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    v_target regclass;
    v_function regprocedure;
begin
    if exists (
        select from sluice.job as j
        where j.resource = unregister.resource and j.state in ('pending', 'processing')
    ) then
        raise exception 'resource % has unfinished jobs', resource using
            errcode = 'IO409', hint = 'wait for them or cancel them';
    end if;
    select r.target into v_target from sluice.resource as r where r.name = resource;
    if not found then
        raise exception 'unknown resource %', quote_literal(resource) using errcode = 'IO404';
    end if;
    for v_function in
        select p.oid
        from sluice.rule as u
        inner join pg_proc as p
            on p.oid::regproc::oid = to_regproc(u.function)::oid
            or format('%I.%I', p.pronamespace::regnamespace, p.proname) = u.function
        inner join pg_class as c on c.oid = v_target and p.proargtypes[0] = c.reltype
        where u.resource = unregister.resource and p.pronargs = 1
    loop
        -- it takes the table's row type, so the table could not be dropped
        execute format('drop function %s', v_function);
    end loop;
    delete from sluice.resource as r where r.name = resource;
end;
$$;
comment on function sluice.unregister(text) is
'Forgets a resource, its rules and the rule functions over its row type, so that nothing of
 pgsluice depends on the table. Its jobs stay. IO404 unknown, IO409 while it has unfinished jobs.';

create or replace function sluice.add_rule(
    resource text, code text, field text, function text, message text
)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    v_resource sluice.resource;
    v_function text;
begin
    select r.* into v_resource from sluice.resource as r where r.name = resource;
    if not found then
        raise exception 'unknown resource %', quote_literal(resource) using errcode = 'IO404';
    end if;
    select format('%I.%I', n.nspname, p.proname) into v_function
    from pg_proc as p
    inner join pg_namespace as n on p.pronamespace = n.oid
    inner join pg_class as c on p.proargtypes[0] = c.reltype
    where
        c.oid = v_resource.target and p.pronargs = 1 and p.prorettype = 'boolean'::regtype
        and lower(function) in (
            lower(format('%s.%s', n.nspname, p.proname)), lower(format('%I.%I', n.nspname, p.proname))
        );
    if not found then
        raise exception 'there is no function %(%) returns boolean', function, v_resource.target using
            errcode = 'IO400', hint = 'name it with its schema; it takes one row of the table and '
            'gives true or null for a good one';
    end if;
    if field is not null and not exists (
        select from sluice.catalog_fields(v_resource.target) as f where f.name = field
    ) then
        raise exception '% has no field %', resource, quote_literal(field) using errcode = 'IO400';
    end if;
    insert into sluice.rule as u (resource, code, field, function, message)
    values (resource, code, field, v_function, message)
    on conflict on constraint rule_pkey do update set
        field = excluded.field, function = excluded.function, message = excluded.message;
end;
$$;
comment on function sluice.add_rule(text, text, text, text, text) is
'Adds a rule that binds imports only: function (schema.name) takes one row of the table and gives
 false for a bad one; code names the rule in errors (constraint), field is the one to blame.
 The function is looked up when a job begins, so it never blocks an alter table.';

create or replace function sluice.drop_rule(resource text, code text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from sluice.rule as u
    where u.resource = drop_rule.resource and u.code = drop_rule.code;
    if not found then
        raise exception 'resource % has no rule %', quote_literal(resource), quote_literal(code)
            using errcode = 'IO404';
    end if;
end;
$$;
comment on function sluice.drop_rule(text, text) is 'Takes a rule back. IO404 when there is none.';

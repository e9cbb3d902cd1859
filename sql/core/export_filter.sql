-- Filters and orders of an export: names and values as a request has them, judged here.

create or replace function sluice.find_field(p_spec jsonb, p_name text)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_names constant jsonb := sluice.field_names(p_spec);
    v_name constant text := coalesce(
        v_names ->> p_name, sluice.folded_names(v_names) ->> sluice.fold_name(p_name)
    );
begin
    return (
        select f from jsonb_array_elements(p_spec -> 'fields') as f where f ->> 'name' = v_name
    );
end;
$$;
comment on function sluice.find_field(jsonb, text) is
'The field of a table spec that a name means: exactly, as an alias, or folded (authorId).
 Null when there is none.';

create or replace function sluice.unknown_field(p_spec jsonb, p_name text, p_use text)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_names constant text[] := array(
        select f ->> 'name' from jsonb_array_elements(p_spec -> 'fields') as f
    );
begin
    raise exception 'unknown field % in %', coalesce(quote_literal(left(p_name, 200)), 'null'), p_use using
        errcode = 'IO400',
        hint = case
            when p_spec -> 'children' ? p_name
                then format('%s is a list of its own records: ask for it with include', p_name)
            else coalesce('did you mean ' || sluice.nearest_name(
                p_name, v_names || array(select jsonb_object_keys(p_spec -> 'aliases'))
            ) || '? ', '') || format(
                'fields of %s are %s', p_spec ->> 'resource', array_to_string(v_names, ', ')
            )
        end;
end;
$$;
comment on function sluice.unknown_field(jsonb, text, text) is
'Refuses a name that no field has: IO400 with the nearest name and the list as a hint.';

create or replace function sluice.type_operator(p_type regtype, p_strategy integer)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- the default btree operator class of the type itself, of its kind, or of the type that it
-- shares its bytes with (varchar -> text)
select format('operator(%I.%s)', n.nspname, o.oprname)
from pg_type as t
inner join pg_opclass as oc on
    oc.opcdefault
    and oc.opcmethod = (select a.oid from pg_am as a where a.amname = 'btree')
    and (
        oc.opcintype = t.oid
        or oc.opcintype = case
            when t.typtype = 'e' then 'anyenum'::regtype
            when t.typtype = 'r' then 'anyrange'::regtype
            when t.typtype = 'm' then 'anymultirange'::regtype
            when t.typsubscript = 'array_subscript_handler'::regproc then 'anyarray'::regtype
        end
        or exists (
            select from pg_cast as c
            where c.castsource = t.oid and c.casttarget = oc.opcintype
                and c.castmethod = 'b' and c.castcontext = 'i'
        )
    )
inner join pg_amop as ao on
    ao.amopfamily = oc.opcfamily and ao.amopstrategy = p_strategy
    and ao.amoplefttype = oc.opcintype and ao.amoprighttype = oc.opcintype
inner join pg_operator as o on ao.amopopr = o.oid
inner join pg_namespace as n on o.oprnamespace = n.oid
where t.oid = p_type and t.typtype <> 'c'
order by oc.opcintype = t.oid desc, o.oid asc
limit 1;
end;
comment on function sluice.type_operator(regtype, integer) is
'The operator by which a type is compared, with its schema: 1 <, 2 <=, 3 =, 4 >=, 5 >.
 Null for a type without an order (json, point) and for composites.';

create or replace function sluice.filter_literal(p_field jsonb, p_name text, p_value text)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
as $$
declare
    -- without length and scale: a comparison must not round what it is given
    v_type constant regtype := to_regtype(p_field ->> 'base_type');
    v_name constant text := format_type(v_type, -1);
    v_category constant text := (select t.typcategory from pg_type as t where t.oid = v_type);
    v_value text := p_value;
    v_valid boolean;
begin
    begin
        -- it keeps the type of its first call when the name is a plain variable
        v_valid := pg_input_is_valid(p_value, v_name || '');
    exception when others then
        -- a type of the DBA's own may raise instead of telling
        v_valid := false;
    end;
    if not coalesce(v_valid, false) then
        raise exception 'filter % cannot be %: field % is of type %', quote_literal(p_name),
            coalesce(quote_literal(left(p_value, 200)), 'null'), p_field ->> 'name', v_name using
            errcode = 'IO400',
            hint = case
                when jsonb_typeof(p_field -> 'labels') = 'array' then 'it takes one of ' || (
                    select string_agg(l, ', ') from jsonb_array_elements_text(p_field -> 'labels') as l
                )
                when v_category = 'B' then 'it takes true or false'
                when v_category = 'D' then 'write 2024-05-31 or 2024-05-31T12:00:00Z'
                else format('give a value of type %s', v_name)
            end;
    end if;
    if v_category in ('D', 'T') then
        -- a time means the same in every session: a bare date is midnight UTC
        execute format('select (%L::%s)::text', p_value, v_name) into v_value;
    end if;
    return format('%L::%s', v_value, v_name);
end;
$$;
comment on function sluice.filter_literal(jsonb, text, text) is
'The value of a filter as an SQL literal of its field''s type. IO400 when it is none.';

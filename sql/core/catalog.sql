-- What pg_catalog says of a table. The catalog is the validator: all that an
-- import judges by is read here, afresh for each job.

create or replace function sluice.catalog_fields(p_target regclass)
returns table (
    attnum smallint, name text, type text, kind text, base_type text, base_kind text,
    collation text, not_null boolean, default_expr text, generated boolean,
    identity text, domain text, labels text[], description text, generated_expr text
)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with recursive base as (
    -- a domain stands on a type or on another domain: follow it to the ground,
    -- with the typmod of the innermost and the first default on the way
    select a.attnum, t.oid as typid, a.atttypmod as typmod, t.typtype, t.typbasetype,
        t.typtypmod, t.typnotnull,
        pg_get_expr(t.typdefaultbin, 0) as typdefault, 0 as depth
    from pg_attribute as a
    inner join pg_type as t on a.atttypid = t.oid
    where a.attrelid = p_target and a.attnum > 0 and not a.attisdropped
    union all
    select b.attnum, t.oid, b.typtypmod as typmod, t.typtype, t.typbasetype, t.typtypmod,
        b.typnotnull or t.typnotnull,
        coalesce(b.typdefault, pg_get_expr(t.typdefaultbin, 0)), b.depth + 1
    from base as b
    inner join pg_type as t on b.typbasetype = t.oid
    where b.typtype = 'd'
),
ground as (
    select distinct on (b.attnum) b.attnum, b.typid, b.typmod, b.typnotnull, b.typdefault
    from base as b
    order by b.attnum asc, b.depth desc
)
select
    a.attnum,
    a.attname::text,
    format_type(a.atttypid, a.atttypmod),
    case
        when gt.typname in ('json', 'jsonb') and gt.typnamespace = 'pg_catalog'::regnamespace
            then 'json'
        when gt.typcategory = 'A' then 'array'
        when gt.typtype = 'c' then 'composite'
        when gt.typcategory = 'N' then 'number'
        when gt.typcategory = 'B' then 'boolean'
        else 'text'
    end,
    format_type(g.typid, g.typmod),
    case
        when gt.typcategory <> 'A' then null
        when et.typtype = 'c' then 'composite'
        when et.typname in ('json', 'jsonb') then 'json'
        else 'text'
    end,
    case
        when a.attcollation <> 0 and a.attcollation <> 'pg_catalog.default'::regcollation
            then (select format('%I.%I', n.nspname, c.collname)
                from pg_collation as c inner join pg_namespace as n on c.collnamespace = n.oid
                where c.oid = a.attcollation)
    end,
    a.attnotnull or g.typnotnull,
    case
        when a.attgenerated = '' then coalesce(pg_get_expr(d.adbin, d.adrelid), g.typdefault)
    end,
    a.attgenerated <> '',
    nullif(a.attidentity::text, ''),
    case when t.typtype = 'd' then format_type(t.oid, null) end,
    (select array_agg(e.enumlabel::text order by e.enumsortorder)
        from pg_enum as e where e.enumtypid = g.typid),
    col_description(p_target, a.attnum),
    case when a.attgenerated <> '' then pg_get_expr(d.adbin, d.adrelid) end
from pg_attribute as a
inner join pg_type as t on a.atttypid = t.oid
inner join ground as g on a.attnum = g.attnum
inner join pg_type as gt on g.typid = gt.oid
left join pg_type as et on gt.typelem = et.oid
left join pg_attrdef as d on a.attrelid = d.adrelid and a.attnum = d.adnum
where a.attrelid = p_target and a.attnum > 0 and not a.attisdropped
order by a.attnum;
end;
comment on function sluice.catalog_fields(regclass) is
'The columns of a table: type as declared, base type under its domains, whether it may be
 null, its default (of the column or of its domain), identity (a always, d by default),
 labels of an enum.';

create or replace function sluice.catalog_checks(p_target regclass)
returns table (name text, expr text, columns text[], whole_row boolean, message text)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select
    c.conname::text,
    pg_get_expr(c.conbin, c.conrelid),
    array(
        select a.attname::text
        from unnest(c.conkey) with ordinality as k (attnum, place)
        inner join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = k.attnum
        where a.attnum > 0
        order by k.place
    ),
    c.conkey is null or 0 >= any(c.conkey),
    obj_description(c.oid, 'pg_constraint')
from pg_constraint as c
where
    c.conrelid = p_target
    and c.contype = 'c'
    -- Postgres 18 knows constraints that are not enforced; 16 has no such column
    and coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true)
order by c.conname;
end;
comment on function sluice.catalog_checks(regclass) is
'The CHECK constraints of a table, with the columns that each reads in the order in which it
 names them, and its comment as the message. whole_row: it reads the row as such or a system
 column, and is judged by the write alone.';

create or replace function sluice.catalog_keys(p_target regclass)
returns table (
    name text, is_primary boolean, is_deferrable boolean, nulls_not_distinct boolean,
    predicate text, columns text[], parts jsonb
)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select
    ic.relname::text,
    i.indisprimary,
    not i.indimmediate,
    i.indnullsnotdistinct,
    pg_get_expr(i.indpred, i.indrelid),
    array(
        select a.attname::text
        from pg_attribute as a
        where a.attrelid = i.indrelid and a.attnum > 0
            and (
                a.attnum = any((i.indkey::smallint[])[0:i.indnkeyatts - 1])
                or exists (
                    -- what its expressions and its predicate read
                    select from pg_depend as d
                    where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
                        and d.refclassid = 'pg_class'::regclass
                        and d.refobjid = i.indrelid and d.refobjsubid = a.attnum
                        and (i.indexprs is not null or i.indpred is not null)
                )
            )
        order by a.attnum
    ),
    (
        select jsonb_agg(jsonb_build_object(
            'column', (
                select a.attname from pg_attribute as a
                where a.attrelid = i.indrelid and a.attnum = i.indkey[p.place - 1]
                    and a.attnum > 0
            ),
            'expr', pg_get_indexdef(i.indexrelid, p.place, false),
            'type', format_type(ia.atttypid, ia.atttypmod),
            'operator', (
                select format('operator(%I.%s)', n.nspname, o.oprname)
                from pg_opclass as oc
                inner join pg_amop as ao on ao.amopfamily = oc.opcfamily
                    and ao.amoplefttype = oc.opcintype and ao.amoprighttype = oc.opcintype
                    and ao.amopstrategy = 3
                inner join pg_operator as o on ao.amopopr = o.oid
                inner join pg_namespace as n on o.oprnamespace = n.oid
                where oc.oid = i.indclass[p.place - 1]
            ),
            'hash', (
                select format('%I.%I', n.nspname, f.proname)
                from pg_opclass as oc
                inner join pg_amop as ao on ao.amopfamily = oc.opcfamily
                    and ao.amoplefttype = oc.opcintype and ao.amoprighttype = oc.opcintype
                    and ao.amopstrategy = 3
                inner join pg_amop as ho on ho.amopopr = ao.amopopr and ho.amopstrategy = 1
                inner join pg_am as am on ho.amopmethod = am.oid and am.amname = 'hash'
                inner join pg_amproc as ap on ap.amprocfamily = ho.amopfamily
                    and ap.amproclefttype = ho.amoplefttype and ap.amprocrighttype = ho.amoplefttype
                    and ap.amprocnum = 2
                inner join pg_proc as f on ap.amproc = f.oid
                inner join pg_namespace as n on f.pronamespace = n.oid
                -- what an array or a range holds need not have a hash
                inner join pg_type as t on oc.opcintype = t.oid
                    and (t.typtype <> 'p' or t.oid = 'anyenum'::regtype)
                where oc.oid = i.indclass[p.place - 1]
                order by f.oid
                limit 1
            ),
            'collation', (
                select format('%I.%I', n.nspname, co.collname)
                from pg_collation as co
                inner join pg_namespace as n on co.collnamespace = n.oid
                where co.oid = i.indcollation[p.place - 1] and co.collname <> 'default'
            )
        ) order by p.place)
        from generate_series(1, i.indnkeyatts) as p (place)
        inner join pg_attribute as ia on ia.attrelid = i.indexrelid and ia.attnum = p.place
    )
from pg_index as i
inner join pg_class as ic on i.indexrelid = ic.oid
where i.indrelid = p_target and i.indisunique and i.indisvalid and i.indisready and i.indislive
    -- WITHOUT OVERLAPS is unique too, but not by equality
    and not i.indisexclusion
order by i.indisprimary desc, ic.relname asc;
end;
comment on function sluice.catalog_keys(regclass) is
'The unique indexes of a table, the primary key first: each part with its expression, type, the
 equality operator of its own operator class, the function that hashes values by that equality
 (null: there is none that takes them all) and its collation; the predicate of a partial one;
 columns: all that its parts and its predicate read.';

create or replace function sluice.catalog_references(p_target regclass)
returns table (
    name text, columns text[], target regclass, target_columns text[],
    operators text[], is_self boolean, message text
)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select
    c.conname::text,
    array(
        select a.attname::text from unnest(c.conkey) with ordinality as k (attnum, place)
        inner join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = k.attnum
        order by k.place
    ),
    c.confrelid::regclass,
    array(
        select a.attname::text from unnest(c.confkey) with ordinality as k (attnum, place)
        inner join pg_attribute as a on a.attrelid = c.confrelid and a.attnum = k.attnum
        order by k.place
    ),
    array(
        select format('operator(%I.%s)', n.nspname, o.oprname)
        from unnest(c.conpfeqop) with ordinality as k (opr, place)
        inner join pg_operator as o on k.opr = o.oid
        inner join pg_namespace as n on o.oprnamespace = n.oid
        order by k.place
    ),
    c.confrelid = c.conrelid,
    obj_description(c.oid, 'pg_constraint')
from pg_constraint as c
where
    c.conrelid = p_target
    and c.contype = 'f'
    -- a reference to a partitioned table has one more row for each partition
    and (c.conparentid = 0 or not exists (
        select from pg_constraint as p
        where p.oid = c.conparentid and p.conrelid = c.conrelid
    ))
    and coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true)
    -- PERIOD asks for more than equality: the write judges it
    and not coalesce((to_jsonb(c) ->> 'conperiod')::boolean, false)
order by c.conname;
end;
comment on function sluice.catalog_references(regclass) is
'The foreign keys of a table: columns, the table and columns that they refer to, and the
 operators that compare the two (referenced = referencing).';

create or replace function sluice.catalog_triggers(p_target regclass)
returns table (name text, before_row boolean, definition text)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select t.tgname::text, (t.tgtype & 3) = 3, pg_get_triggerdef(t.oid)
from pg_trigger as t
where t.tgrelid = p_target and not t.tgisinternal and t.tgenabled <> 'D'
order by t.tgname;
end;
comment on function sluice.catalog_triggers(regclass) is
'The enabled triggers of a table; before_row: it may change or drop rows before they are written.';

-- The errors that can be seen in a record itself.

create or replace function sluice.sql_faults(p_spec jsonb)
returns table (condition text, error text)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
with fields as (
    select f as field, (f ->> 'attnum')::integer as attnum, f ->> 'name' as name,
        f ->> 'ident' as ident, f ->> 'text' as cell, f ->> 'sent' as sent,
        sluice.sql_bad_type(p_spec, f) as bad,
        (f ->> 'not_null')::boolean and f ->> 'default' is null
        and (f ->> 'writable')::boolean as required
    from jsonb_array_elements(p_spec -> 'fields') as f
    where (f ->> 'given')::boolean
),
forbidden as (
    select array_agg(l.name)::text as lists
    from jsonb_array_elements_text(p_spec -> 'forbidden') as l (name)
),
faults as (
    -- types
    select 1 as part, f.attnum as place, f.bad as condition,
        format(
            'sluice.type_error(%L, p.%s, %L, %L)', f.name, f.cell, f.field ->> 'type',
            nullif(p_spec -> 'domain_messages', '{}')
        ) as error
    from fields as f
    where f.bad is not null
    union all
    -- an explicit null for a column that has neither null nor default
    select 2, f.attnum,
        case when p_spec ->> 'source' = 'csv'
            then format('p.%s is null and p.%s is null', f.ident, f.cell)
            else format('p.%s is null and p.%s and p.%s is null', f.ident, f.sent, f.cell)
        end,
        format('sluice.record_error(''required'', %L, null, ''must be given'', null)', f.name)
    from fields as f
    where f.required
    union all
    -- CHECKs over what the record has
    select 3, (c ->> 'place')::integer,
        format('j.check_%s is false', c ->> 'place')
        || coalesce(' and ' || (c ->> 'has_all'), '')
        || coalesce((
            select string_agg(
                case
                    when f.required then format(' and p.%s is not null', f.ident)
                    else format(' and not (%s)', f.bad)
                end, '' order by f.attnum
            )
            from fields as f
            where c -> 'columns' ? f.name and (f.bad is not null or f.required)
        ), ''),
        format(
            'sluice.record_error(''check'', %L, %L, %L, p.%I::text)', c ->> 'blame', c ->> 'name',
            coalesce(c ->> 'message', format('must satisfy %s', c ->> 'expr')), c ->> 'blame'
        )
    from jsonb_array_elements(p_spec -> 'checks') as c
    where (c ->> 'judged')::boolean and (c ->> 'early')::boolean
    union all
    -- references to other tables: the row must exist
    select 4, (r ->> 'place')::integer,
        s.given || format(
            ' and not exists (select from %s as k where %s)', r ->> 'target', s.equal
        ),
        format(
            'sluice.record_error(''reference'', %L, %L, %s, %s)',
            r -> 'columns' ->> -1, r ->> 'name',
            coalesce(
                quote_literal(r ->> 'message'),
                format('format(%L, %s)', s.message, s.values)
            ),
            format('p.%I::text', r -> 'columns' ->> -1)
        )
    from jsonb_array_elements(p_spec -> 'references') as r
    cross join lateral (
        select
            string_agg(format('p.%I is not null', l.name), ' and ' order by l.place) as given,
            string_agg(
                format(
                    'k.%I %s p.%I', r -> 'target_columns' ->> (l.place - 1)::integer,
                    r -> 'operators' ->> (l.place - 1)::integer, l.name
                ), ' and ' order by l.place
            ) as equal,
            string_agg(format('p.%I', l.name), ', ' order by l.place) as values,
            format('no row of %s has %s', coalesce(r ->> 'resource', r ->> 'target'),
                string_agg(format('%I = %%s', r -> 'target_columns' ->> (l.place - 1)::integer),
                    ', ' order by l.place)) as message,
            bool_and(coalesce((f.field ->> 'given')::boolean, false)) as all_given
        from jsonb_array_elements_text(r -> 'columns') with ordinality as l (name, place)
        left join fields as f on f.name = l.name
    ) as s
    where s.all_given and not (r ->> 'is_self')::boolean
    union all
    select 5, (c ->> 'place')::integer,
        format('p._list_%1$s and not p._is_list_%1$s', c ->> 'place'),
        format(
            'sluice.record_error(''type'', %L, null, ''expected a JSON array of objects'', null)',
            c ->> 'name'
        )
    from jsonb_array_elements(
        case when p_spec ->> 'source' = 'child' then '[]' else p_spec -> 'children' end
    ) as c
    union all
    select 6, 0,
        coalesce('not p._unknown <@ ' || quote_literal(b.lists), 'p._unknown is not null'), $$(
            select sluice.record_error(
                'unknown_field', u, null, 'is no field of $$ || (p_spec ->> 'resource') || $$', null
            )
            from unnest(p._unknown) as u$$
        || coalesce(' where u <> all (' || quote_literal(b.lists) || ')', '') || $$ limit 1
        )$$
    from forbidden as b
    where p_spec ->> 'source' <> 'csv'
        and p_spec -> 'options' ->> 'unknown_fields' is distinct from 'ignore'
    union all
    -- even where unknown names are ignored: nobody is to believe that it was written
    select 6, 1, format('p._unknown && %L', b.lists), format($$(
            select sluice.record_error(
                'write', u, null, 'may not be written with this API key', null, '42501'
            )
            from unnest(p._unknown) as u where u = any (%L) limit 1
        )$$, b.lists)
    from forbidden as b
    where p_spec ->> 'source' <> 'csv' and b.lists is not null
)
select f.condition, f.error
from faults as f
order by f.part, f.place;
end;
comment on function sluice.sql_faults(jsonb) is
'What may be wrong with a record by itself: SQL that is true when it is, and SQL of the error.';

-- What the merge has to do, by record number.
--
-- The work table holds the records that need a word: those to update, those whose key was made by
-- the match, those that are wrong. What most of them are, new rows or rows that stay as they are,
-- goes without a row there, so that a million of these need not be written down.

create or replace function sluice.may_imply(p_spec jsonb)
returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
begin atomic
select
    p_spec -> 'children' = '[]'
    and not (p_spec ->> 'self')::boolean
    and coalesce(p_spec ->> 'role', p_spec ->> 'login') is null
    and (p_spec -> 'options' ->> 'results')::boolean is not true
    and coalesce(p_spec -> 'options' ->> 'mode', 'upsert') <> 'update'
    and p_spec -> 'identity' <> '[]'
    and not exists (
        select from jsonb_array_elements(p_spec -> 'fields') as f
        where (f ->> 'is_key')::boolean
            and not ((f ->> 'given')::boolean and (f ->> 'writable')::boolean)
    );
end;
comment on function sluice.may_imply(jsonb) is
'Whether new rows may go without a row in the work table: nothing but their plan is asked for.';

create or replace function sluice.is_implied(p_spec jsonb)
returns boolean
language sql immutable
return coalesce((p_spec ->> 'implied')::boolean, false);
comment on function sluice.is_implied(jsonb) is
'Whether a good record without a row in the work table is a new row; else it is one that stays.';

create or replace function sluice.sql_is_to_do(p_spec jsonb, p_actions text)
returns text
language sql immutable
set search_path = pg_catalog, pg_temp
begin atomic
-- one anti join over what is known of the range: few records, by an estimate that comes true
select format($sql$p._n >= $1 and p._n < $2 and p._errors is null
    and not exists (
        select from (
            select e._n from %1$s as e where e._n >= $1 and e._n < $2
            union all
            select o._n from %2$s as o
            where o._n >= $1 and o._n < $2 and (o._action = any (%3$L)) is not true
        ) as o
        where o._n = p._n
    )$sql$, p_spec ->> 'extra', p_spec ->> 'work', p_actions);
end;
comment on function sluice.sql_is_to_do(jsonb, text) is
'SQL that is true for a record p of the plan, $1, $2: record numbers from, to, which has no row in
 the work table, or one with one of the actions (an array literal).';

create or replace function sluice.sql_todo(p_spec jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select case
    when sluice.is_implied(p_spec) then format(
        'select p._n, coalesce(w._action, ''i'') as _action'
        ' from %s as p left join %s as w on w._n = p._n and w._n >= $1 and w._n < $2'
        ' where ', p_spec ->> 'plan', p_spec ->> 'work'
    ) || sluice.sql_is_to_do(p_spec, '{i,u}')
    else format(
        'select w._n, w._action from %s as w'
        ' where w._n >= $1 and w._n < $2 and w._action in (''i'', ''u'', ''c'')'
        ' and not exists'
        ' (select from %s as e where e._n = w._n and e._n >= $1 and e._n < $2)',
        p_spec ->> 'work', p_spec ->> 'extra'
    )
end;
end;
comment on function sluice.sql_todo(jsonb) is
'SQL of the records that the merge has to write, $1, $2: record numbers from, to; with i insert,
 u update, c only children change.';

create or replace function sluice.count_todo(
    p_spec jsonb, p_from bigint, p_to bigint,
    out o_inserts bigint, out o_updates bigint, out o_lists bigint
)
returns record
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format(
        'select count(*) filter (where t._action = ''i''),'
        ' count(*) filter (where t._action = ''u''),'
        ' count(*) filter (where t._action = ''c'') from (%s) as t', sluice.sql_todo(p_spec)
    ) into o_inserts, o_updates, o_lists using p_from, p_to;
end;
$$;
comment on function sluice.count_todo(jsonb, bigint, bigint) is
'How many records of a range are to be inserted, updated, or have only children to write.';

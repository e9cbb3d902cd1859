-- Jobs whose API key has a database role: what the role may not see must not be told, nor changed.

create or replace function sluice.sql_found(p_spec jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- the rows that the keys of the records find, as the service sees them
select e'create temporary table pgsluice_found on commit drop as\n' || string_agg(
    concat_ws(e'\n',
        format('select p._n, %s', (
            select string_agg(format('k%s.%I', k ->> 'place', i), ', ')
            from jsonb_array_elements_text(p_spec -> 'identity') as i
        )),
        format('from %s as p', p_spec ->> 'plan'),
        regexp_replace(
            sluice.sql_finders(jsonb_set(p_spec, '{keys}', jsonb_build_array(k)), '{}'),
            'left join', 'inner join'
        )
    ), e'\nunion all\n' order by (k ->> 'place')::integer
)
from jsonb_array_elements(p_spec -> 'keys') as k
where (k ->> 'usable')::boolean and p_spec -> 'identity' <> '[]';
end;
comment on function sluice.sql_found(jsonb) is
'The SQL that collects every row of the target that a record''s keys find; null without keys.';

create or replace function sluice.sql_hidden(p_spec jsonb)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
-- run as the role: row level security takes away what it may not see
select concat_ws(e'\n',
    'select array_agg(distinct f._n)',
    'from pg_temp.pgsluice_found as f',
    format('where not exists (select from %s as t where %s)', p_spec ->> 'table',
        sluice.sql_same_row(p_spec, 't', 'f'))
)
where p_spec -> 'identity' <> '[]';
end;
comment on function sluice.sql_hidden(jsonb) is
'The SQL that finds, under the job''s role, the records whose rows that role may not see.';

create or replace function sluice.reject_hidden(p_job sluice.job)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_role constant text := p_job.spec ->> 'role';
    v_own constant text := current_setting('role');
    v_hidden bigint[];
begin
    if v_role is null or not p_job.statements ? 'found' then
        return;
    end if;
    execute p_job.statements ->> 'found';
    execute format('grant select on pg_temp.pgsluice_found to %I', v_role);
    perform set_config('role', v_role, true);
    execute p_job.statements ->> 'hidden' into v_hidden;
    perform set_config('role', v_own, true);
    drop table pg_temp.pgsluice_found;
    if v_hidden is null then
        return;
    end if;
    -- what was found out about such a row stays with us
    execute format('delete from %s as w where w._n = any($1)', p_job.spec ->> 'work') using v_hidden;
    execute format(
        'insert into %s (_n, _dropped, _error) select h, false, $2 from unnest($1) as h',
        p_job.spec ->> 'extra'
    ) using v_hidden, sluice.record_error(
        'write', null, null, 'this row may not be written with this API key', null, '42501'
    );
end;
$$;
comment on function sluice.reject_hidden(sluice.job) is
'Under a role: a record that means a row which the role may not see is rejected with nothing told
 of that row.';

create or replace function sluice.check_role(p_role text, p_spec jsonb)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_mode constant text := coalesce(p_spec -> 'options' ->> 'mode', 'upsert');
    v_oid constant oid := (p_spec ->> 'oid')::oid;
    v_bad text;
begin
    if p_role is null then
        return;
    end if;
    select format('%s field %s of', w.verb, quote_literal(f ->> 'name')) into v_bad
    from jsonb_array_elements(p_spec -> 'fields') as f
    cross join (values ('insert'), ('update')) as w (verb)
    where (f ->> 'given')::boolean and (f ->> 'writable')::boolean
        and (w.verb = 'insert' or not (f ->> 'is_key')::boolean)
        and (v_mode = 'upsert' or v_mode = w.verb)
        and not has_column_privilege(p_role, v_oid, f ->> 'name', w.verb)
    limit 1;
    if v_bad is null and exists (
        select from jsonb_array_elements_text(p_spec -> 'identity') as i
        where not has_column_privilege(p_role, v_oid, i, 'select')
    ) then
        v_bad := 'read the key of';
    end if;
    if v_bad is not null then
        raise exception 'the role of this API key may not % %', v_bad, p_spec ->> 'resource' using
            errcode = 'IO403', hint = 'leave it out, choose another mode, or have the role granted it';
    end if;
end;
$$;
comment on function sluice.check_role(text, jsonb) is
'IO403 when a role lacks a privilege that the import would need for every record.';

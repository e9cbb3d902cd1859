-- Who may do what. PUBLIC may do nothing. Five roles without login, for logins to be members of:
--   sluice_owner     owns the schemas; installs and upgrades
--   sluice_service   what API and workers log in as: no right to change a function or a table
--   sluice_operator  a DBA who imports, exports, cancels, schedules and makes keys from psql
--   sluice_reader    looks: jobs, errors, schedules, health; no data of uploads, no keys
--   sluice_login     what logins of API keys are members of: to work on their own jobs' tables

do $$
declare
    v_role text;
begin
    foreach v_role in array
        '{sluice_owner,sluice_service,sluice_operator,sluice_reader,sluice_login}'::text[]
    loop
        if not exists (select from pg_catalog.pg_roles as r where r.rolname = v_role) then
            begin
                execute pg_catalog.format('create role %I nologin', v_role);
            exception
                when insufficient_privilege then
                    raise warning 'role % is missing, and % may not create it', v_role, current_user
                        using hint = 'have a superuser create it (nologin), then install again';
                when duplicate_object or unique_violation then
                    -- another database of this server was faster
                    null;
            end;
        end if;
    end loop;
end
$$;

revoke all on schema sluice, sluice_stage, app from public;
revoke all on all tables in schema sluice, app from public;
revoke all on all routines in schema sluice, app from public;

create or replace function sluice.grant_steps()
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid from pg_proc as p
        where p.pronamespace = 'sluice'::regnamespace and p.proname = any(
            -- what carries out a step and what its statements call: each does only what its caller
            -- could do without it, and none reads or writes a table of schema sluice
            '{fence_work,check_fence,stage_name,work_key,hold_job,fault_class,lacks_right,own_path,
            cast_records,cast_range,judge_records,ready_plan,match_range,is_implied,sql_todo,
            sql_is_to_do,may_match_again,count_todo,write_records,write_range,write_list,isolate_step,
            isolate_range,isolate_levels,rank_levels,add_counts,
            move_own_sequences,move_sequences,pin_output,
            record_error,type_error,list_error,present,fold_keys,fold_name,decimal_comma,array_literal,
            array_cell}'::text[]
        )
    loop
        execute format('grant execute on function %s to sluice_login', v_function);
    end loop;
end;
$$;
comment on function sluice.grant_steps() is
'Lets the logins of API keys carry out steps of their own jobs.';

create or replace function sluice.grant_roles()
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if to_regrole('sluice_service') is not null then
        grant usage on schema sluice, app to sluice_service;
        -- with grant option: the roles of API keys read the plan of their own jobs there
        grant usage on schema sluice_stage to sluice_service with grant option;
        grant create on schema sluice_stage to sluice_service;
        grant select, insert, update, delete on all tables in schema sluice to sluice_service;
        revoke insert, update, delete on sluice.ledger from sluice_service;
        grant usage, select, update on all sequences in schema sluice to sluice_service;
        grant execute on all routines in schema sluice, app to sluice_service;
        grant select, insert, update, delete on all tables in schema app to sluice_service;
    end if;
    if to_regrole('sluice_operator') is not null then
        grant usage on schema sluice, app to sluice_operator;
        grant usage on schema sluice_stage to sluice_operator with grant option;
        grant create on schema sluice_stage to sluice_operator;
        grant select, insert, update, delete on all tables in schema sluice to sluice_operator;
        revoke insert, update, delete on sluice.ledger from sluice_operator;
        grant usage, select, update on all sequences in schema sluice to sluice_operator;
        grant execute on all routines in schema sluice, app to sluice_operator;
        grant select, insert, update, delete on all tables in schema app to sluice_operator;
    end if;
    if to_regrole('sluice_reader') is not null then
        grant usage on schema sluice to sluice_reader;
        grant execute on all routines in schema sluice to sluice_reader;
        -- rejects, results and stages hold what was uploaded; errors tell of single values
        grant select on sluice.ledger, sluice.resource, sluice.rule, sluice.job, sluice.step,
        sluice.schedule, sluice.tick, sluice.delivery, sluice.delivery_attempt,
        sluice.export_file, sluice.job_total, sluice.http_total, sluice.login to sluice_reader;
        grant select on sluice.jobs, sluice.import_jobs to sluice_reader;
    end if;
    if to_regrole('sluice_login') is not null then
        grant usage on schema sluice, sluice_stage to sluice_login;
        perform sluice.grant_steps();
    end if;
    -- a table of an import begun in psql is to be used and dropped by the service
    if to_regrole('sluice_operator') is not null and to_regrole('sluice_service') is not null
        and not pg_has_role('sluice_operator', 'sluice_service', 'member') then
        grant sluice_service to sluice_operator;
    end if;
    if to_regclass('procrastinate.procrastinate_jobs') is not null
        and to_regrole('sluice_service') is not null then
        grant usage on schema procrastinate to sluice_service;
        grant select, insert, update, delete on all tables in schema procrastinate to sluice_service;
        grant usage, select, update on all sequences in schema procrastinate to sluice_service;
        grant execute on all routines in schema procrastinate to sluice_service;
    end if;
    if to_regclass('procrastinate.procrastinate_workers') is not null
        and to_regrole('sluice_reader') is not null then
        grant usage on schema procrastinate to sluice_reader;
        grant select on procrastinate.procrastinate_workers to sluice_reader;
    end if;
end;
$$;
comment on function sluice.grant_roles() is
'Gives the roles of pgsluice what they need; every installation and upgrade calls it.';

create or replace function sluice.hand_over()
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_owner constant oid := to_regrole('sluice_owner');
    v_schemas constant oid[] := array(
        select n.oid from pg_namespace as n
        where n.nspname in ('sluice', 'sluice_stage', 'app', 'procrastinate')
    );
    v_what text;
begin
    if v_owner is null or not pg_has_role(v_owner, 'member') then
        return;
    end if;
    for v_what in
        select format('schema %I', n.nspname) from pg_namespace as n
        where n.oid = any(v_schemas) and n.nspowner <> v_owner
        union all
        select format('routine %s', p.oid::regprocedure) from pg_proc as p
        where p.pronamespace = any(v_schemas) and p.proowner <> v_owner
        union all
        select format('type %s', t.oid::regtype) from pg_type as t
        where t.typnamespace = any(v_schemas) and t.typtype = 'e' and t.typowner <> v_owner
        union all
        select format('%s %s', k.kind, c.oid::regclass)
        from pg_class as c
        inner join (values ('r', 'table'), ('v', 'view'), ('S', 'sequence'), ('c', 'type'))
            as k (relkind, kind) on c.relkind = k.relkind::pg_catalog.char
        where c.relnamespace = any(v_schemas) and c.relowner <> v_owner
            -- tables of running imports belong to the service, a column's sequence to its table
            and c.relnamespace <> 'sluice_stage'::regnamespace
            and not exists (
                select from pg_depend as d
                where d.objid = c.oid and d.deptype in ('a', 'i') and c.relkind = 'S'
            )
    loop
        execute format('alter %s owner to sluice_owner', v_what);
    end loop;
end;
$$;
comment on function sluice.hand_over() is
'Makes sluice_owner the owner of what was installed, the queue''s schema too, where the installing
 role may.';

create or replace function sluice.share_table(p_table text)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if to_regrole('sluice_service') is not null and not exists (
        select from pg_roles as r where r.rolname = current_user and r.rolsuper
    ) and pg_has_role('sluice_service', 'member') then
        execute format('alter table %s owner to sluice_service', p_table);
    end if;
end;
$$;
comment on function sluice.share_table(text) is
'Gives a table in sluice_stage to the service''s role: any of its logins may work on any job.';

revoke execute on function sluice.grant_roles() from public;
revoke execute on function sluice.grant_steps() from public;
revoke execute on function sluice.hand_over() from public;
revoke execute on function sluice.share_table(text) from public;
select sluice.grant_roles();
select sluice.hand_over();

-- Who may call what. PUBLIC may call nothing; the service owns the schemas, or is a
-- member of sluice_operator, which may use all of them.

do $$
begin
    if not exists (select from pg_catalog.pg_roles as r where r.rolname = 'sluice_operator') then
        create role sluice_operator nologin;
    end if;
exception when insufficient_privilege then
    raise warning 'role sluice_operator is missing, and % may not create it', current_user
        using hint = 'have a superuser create it (nologin), then install again for its grants';
when duplicate_object or unique_violation then
    -- another database of this server was faster
    null;
end
$$;

revoke all on schema sluice, sluice_stage from public;
revoke all on all tables in schema sluice from public;
revoke all on all routines in schema sluice from public;
revoke all on all routines in schema app from public;

do $$
begin
    if exists (select from pg_catalog.pg_roles as r where r.rolname = 'sluice_operator') then
        grant usage on schema sluice, sluice_stage, app to sluice_operator;
        grant create on schema sluice_stage to sluice_operator;
        grant select, insert, update, delete on all tables in schema sluice to sluice_operator;
        grant usage, select, update on all sequences in schema sluice to sluice_operator;
        grant execute on all routines in schema sluice to sluice_operator;
        grant execute on all routines in schema app to sluice_operator;
        grant select, insert, update, delete on all tables in schema app to sluice_operator;
    end if;
end
$$;

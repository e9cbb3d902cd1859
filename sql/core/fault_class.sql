create or replace function sluice.fault_class(p_sqlstate text)
returns text
language sql immutable parallel safe
return case
    -- another transaction was in the way: the same again may work
    when p_sqlstate in ('40001', '40P01', '55P03', '55006') then 'retry'
    -- a policy or a trigger that forbids this row
    when p_sqlstate in ('42501', '44000') then 'record'
    -- the database, the network, the disk, the table as such
    when left(p_sqlstate, 2) in (
        '08', '25', '26', '3D', '3F', '40', '42', '53', '55', '57', '58', 'F0', 'XX'
    ) then 'job'
    else 'record'
end;
comment on function sluice.fault_class(text) is
'What an error of a write says: retry (another was in the way), job (the fault lies with the
 database or the table), record (this row cannot be written).
 https://www.postgresql.org/docs/current/errcodes-appendix.html';

create or replace function sluice.lacks_right(p_job sluice.job, p_sqlstate text)
returns boolean
language sql immutable
return p_sqlstate = '42501' and p_job.spec ->> 'login' is not null;
comment on function sluice.lacks_right(sluice.job, text) is
'Whether an error of the cast or match says that the login of the job''s key may not read something,
 which is no record''s fault.';

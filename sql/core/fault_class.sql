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

create or replace function sluice.may_pass(p_sqlstate text)
returns boolean
language sql immutable parallel safe
-- temp_file_limit and the like (53400) stand until somebody changes them
return sluice.fault_class(p_sqlstate) = 'retry' or p_sqlstate = 'IO503'
    or p_sqlstate ~ '^(53|57|58)' and p_sqlstate <> '53400';
comment on function sluice.may_pass(text) is
'Whether an error may be over in a minute: another was in the way, a disk is full, the server is
 busy or on its way down.';

create or replace function sluice.fault_words(p_sqlstate text, p_message text)
returns text
language sql immutable parallel safe
return case p_sqlstate
    when '55P03' then
        'another session holds a table or row that this needs (an ALTER TABLE, a VACUUM FULL, a '
        'long transaction)'
    when '53100' then p_message || '; make room where Postgres has its data'
    else p_message
end || case when p_sqlstate like 'IO%' then '' else format(' (SQLSTATE %s)', p_sqlstate) end;
comment on function sluice.fault_words(text, text) is
'What hinders a step, for whoever waits for its job.';

create or replace function sluice.lacks_right(p_job sluice.job, p_sqlstate text)
returns boolean
language sql immutable
return p_sqlstate = '42501' and p_job.spec ->> 'login' is not null;
comment on function sluice.lacks_right(sluice.job, text) is
'Whether an error of the cast or match says that the login of the job''s key may not read something,
 which is no record''s fault.';

-- The gate of a resource: merge steps of imports go through it side by side; a small import that
-- has met one of them in its way closes it for a moment.

create or replace function sluice.gate_key(p_resource text)
returns bigint
language sql immutable parallel safe
return hashtextextended(p_resource, 3);
comment on function sluice.gate_key(text) is
'The advisory lock of a resource''s gate: shared by merge steps, exclusive for who closes it.';

create or replace function sluice.pass_gate(p_resource text)
returns void
language plpgsql volatile
set lock_timeout = '2s'
set search_path = pg_catalog, pg_temp
as $$
begin
    -- waits behind whoever waits to close it, who would otherwise never come to it
    perform pg_advisory_xact_lock_shared(sluice.gate_key(p_resource));
end;
$$;
comment on function sluice.pass_gate(text) is
'Goes through the gate, to the end of the transaction: a merge step is about to write. 55P03 when it
 stays closed for 2 s: the step is tried again.';

create or replace function sluice.close_gate(p_resource text)
returns void
language plpgsql volatile
set lock_timeout = '5s'
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_advisory_xact_lock(sluice.gate_key(p_resource));
end;
$$;
comment on function sluice.close_gate(text) is
'Closes the gate to the end of the (sub)transaction, as soon as the merge steps are done that are
 under way: the rows of a running import are free then. 55P03 after 5 s, as with an atomic import.';

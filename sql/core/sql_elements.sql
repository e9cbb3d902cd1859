create or replace function sluice.sql_elements(p_spec jsonb)
returns text
language sql immutable
return '';
create or replace function sluice.sql_list_differs(p_spec jsonb, p_child jsonb)
returns text
language sql immutable
return 'select where false';
create or replace function sluice.list_statements(p_spec jsonb, p_child jsonb)
returns jsonb
language sql immutable
return null::jsonb;
create or replace function sluice.release() returns text language sql immutable return '0.1.0';
create or replace function sluice.list_error(p_error jsonb, p_name text, p_i integer)
returns jsonb
language sql immutable
return p_error;

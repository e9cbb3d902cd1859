-- Names in sluice_stage.

create or replace function sluice.stage_name(p_job_id uuid, p_letter text default 's')
returns text
language sql immutable parallel safe
return format('sluice_stage.%s_%s', p_letter, replace(p_job_id::text, '-', ''));
comment on function sluice.stage_name(uuid, text) is
'Name of a table of a job: s stage, p plan, w work, e extra errors.';

create or replace function sluice.stage_cell(p_shape text, p_place integer, p_header text)
returns text
language sql immutable parallel safe
return case p_shape
    when 'array' then format('s.cells[%s]', p_place)
    when 'names' then format('s.%I', p_header)
    else format('s.c%s', p_place)
end;
comment on function sluice.stage_cell(text, integer, text) is
'SQL of a cell of a stage: cells one column each (c1 …), one array, or columns named as the file''s
 (psql).';

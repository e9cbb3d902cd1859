create or replace function sluice.option_error(p_name text, p_value text, p_hint text)
returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    -- as it was sent, where it came as JSON
    v_value constant text := case
        when p_value is json scalar then p_value::json #>> '{}' else p_value
    end;
begin
    raise exception 'option % cannot be %', p_name, coalesce(
        quote_literal(left(v_value, 200)), 'null'
    ) using
        errcode = 'IO400', hint = p_hint;
end;
$$;
comment on function sluice.option_error(text, text, text) is
'Refuses the value of an option: IO400 with a hint that says what it takes.';

create or replace function sluice.is_http_url(p_url text)
returns boolean
language sql immutable parallel safe
return length(p_url) <= 8192
and p_url ~* '^https?://[^/?#@\\[:space:][:cntrl:]]+([/?#][^\\[:space:][:cntrl:]]*)?$';
comment on function sluice.is_http_url(text) is
'Whether a text is a URL of http or https without credentials, as far as its text tells; the service
 judges its host when it asks it.';

create or replace function sluice.shown_url(p_url text)
returns text
language sql immutable parallel safe
return regexp_replace(regexp_replace(p_url, '[?#].*$', ''), '//[^/]*@', '//');
comment on function sluice.shown_url(text) is
'A URL as it may be shown: without credentials and query, which may be secrets.';

create or replace function sluice.is_table(p_format text)
returns boolean
language sql immutable parallel safe
return p_format in ('csv', 'xlsx', 'parquet');
comment on function sluice.is_table(text) is
'Whether a file of this format has a header and a cell for each field, rather than JSON.';

create or replace function sluice.check_option(p_name text, p_value jsonb)
returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    -- a query string has texts only: what a text says is what counts
    v_text constant text := p_value #>> '{}';
    v_choices text[];
begin
    v_choices := case p_name
        when 'mode' then '{upsert,insert,update}'
        when 'on_duplicate' then '{reject,first,last}'
        when 'unknown_fields' then '{reject,ignore}'
        when 'identity' then '{generate,keep}'
        when 'date_order' then '{dmy,mdy,ymd}'
        when 'decimal' then '{.,","}'
        when 'dry_run' then '{false,true,write}'
        when 'priority' then '{normal,interactive}'
    end;
    if v_choices is not null then
        if v_text is null or v_text <> all (v_choices) then
            perform sluice.option_error(
                p_name, p_value::text, 'it takes one of ' || array_to_string(v_choices, ', ')
            );
        end if;
        return to_jsonb(v_text);
    elsif p_name in ('results', 'trim', 'atomic') then
        if v_text is null or not pg_input_is_valid(v_text, 'boolean') then
            perform sluice.option_error(p_name, p_value::text, 'it takes true or false');
        end if;
        return to_jsonb(v_text::boolean);
    elsif p_name = 'max_errors' then
        if v_text is null or not pg_input_is_valid(v_text, 'integer') or v_text like '%-%' then
            perform sluice.option_error(p_name, p_value::text, 'it takes a whole number, 0 or more');
        end if;
        return to_jsonb(v_text::integer);
    elsif p_name = 'max_error_ratio' then
        if v_text is null or not v_text ~ '^\d*\.?\d+$' or v_text::numeric > 1 then
            perform sluice.option_error(p_name, p_value::text, 'it takes a number from 0 to 1');
        end if;
        return to_jsonb(v_text::numeric);
    elsif p_name in ('mapping', 'defaults') then
        if jsonb_typeof(p_value) = 'object' then
            return p_value;
        elsif v_text is json object and pg_input_is_valid(v_text, 'jsonb') then
            return v_text::jsonb;
        end if;
        perform sluice.option_error(p_name, p_value::text, 'it takes a JSON object');
    elsif p_name = 'match' then
        if jsonb_typeof(p_value) = 'array' then
            return p_value;
        elsif v_text is not null and v_text <> '' then
            return to_jsonb(string_to_array(replace(v_text, ' ', ''), ','));
        end if;
        perform sluice.option_error(
            p_name, p_value::text, 'it takes keys in the order in which to try them: id,email'
        );
    elsif p_name = 'delimiter' then
        return to_jsonb(case
            when v_text in (',', ';', '|', e'\t') then v_text
            when v_text in ('tab', '\t') then e'\t'
            when v_text = 'comma' then ','
            when v_text = 'semicolon' then ';'
            when v_text = 'pipe' then '|'
            else sluice.option_error(p_name, p_value::text, 'it takes , ; | or tab')::text
        end);
    elsif p_name = 'null' then
        if v_text is null or length(v_text) > 100 or v_text ~ '[\r\n"]' then
            perform sluice.option_error(
                p_name, p_value::text, 'it takes a short text without quotes and line ends'
            );
        end if;
        return to_jsonb(v_text);
    elsif p_name = 'parent' then
        -- compared as text: a cast would be tried before the test whether it can work
        if v_text is null or not exists (
            select from sluice.job as j where j.job_id::text = lower(v_text) and j.kind = 'import'
        ) then
            perform sluice.option_error(p_name, p_value::text, 'it takes the id of an earlier import');
        end if;
        return to_jsonb(v_text);
    elsif p_name = 'sheet' then
        if v_text is null or v_text = '' or length(v_text) > 100 then
            perform sluice.option_error(p_name, p_value::text, 'it takes the name of a sheet');
        end if;
        return to_jsonb(v_text);
    elsif p_name = 'encoding' then
        return to_jsonb(v_text);
    elsif p_name = 'callback_url' then
        if sluice.is_http_url(v_text) is not true then
            perform sluice.option_error(
                p_name, sluice.shown_url(p_value::text),
                'it takes an https URL without user name and password'
            );
        end if;
        return to_jsonb(v_text);
    end if;
    raise exception 'unknown option %', quote_literal(left(p_name, 200)) using
        errcode = 'IO400',
        hint = coalesce('did you mean ' || sluice.nearest_name(p_name, sluice.option_names()) || '? ', '')
            || 'options are ' || array_to_string(sluice.option_names(), ', ');
end;
$$;
comment on function sluice.check_option(text, jsonb) is
'The value of an import option in its canonical form; IO400 for an unknown option or a bad value.';

create or replace function sluice.option_names()
returns text[]
language sql immutable parallel safe
return array[
    'atomic', 'callback_url', 'date_order', 'decimal', 'defaults', 'delimiter', 'dry_run',
    'encoding', 'identity', 'mapping', 'match', 'max_error_ratio', 'max_errors', 'mode', 'null',
    'on_duplicate', 'parent', 'priority', 'results', 'sheet', 'trim', 'unknown_fields'
];
comment on function sluice.option_names() is 'The options of an import.';

create or replace function sluice.check_options(p_options jsonb)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if jsonb_typeof(p_options) is distinct from 'object' then
        raise exception 'options must be a JSON object' using errcode = 'IO400';
    end if;
    return (
        select coalesce(jsonb_object_agg(o.key, sluice.check_option(o.key, o.value)), '{}')
        from jsonb_each(p_options) as o
    );
end;
$$;
comment on function sluice.check_options(jsonb) is
'The options of an import, each in its canonical form; those not given stay out. IO400.';

create or replace function sluice.check_import_options(resource text, options jsonb)
returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    perform sluice.check_options(options);
    if resource is not null then
        perform sluice.check_resource(resource);
        perform sluice.known_table(sluice.known_resource(resource));
    end if;
end;
$$;
comment on function sluice.check_import_options(text, jsonb) is
'Judges what is known of an import before its body is read; resource may still be unknown (null).
 IO400 for an unknown resource or option and for a bad value.';

-- What is asked of an export that runs later, in its canonical form.

create or replace function sluice.request_keys()
returns text[]
language sql immutable parallel safe
return array[
    'archive', 'callback_url', 'closed', 'compression', 'delimiter', 'escape_formulas',
    'expires_in', 'fields', 'filters', 'format', 'header', 'include', 'limit', 'null', 'order',
    'resource', 'resources'
];
comment on function sluice.request_keys() is 'What may be said in the request of an export.';

create or replace function sluice.fold_request(p_request jsonb)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_key text;
    v_name text;
    v_value jsonb;
    v_folded jsonb := '{}';
begin
    if jsonb_typeof(p_request) is distinct from 'object' then
        raise exception 'the request of an export must be a JSON object' using
            errcode = 'IO400', hint = 'such as {"resource": "users", "format": "csv"}';
    end if;
    for v_key, v_value in select r.key, r.value from jsonb_each(p_request) as r loop
        v_name := case sluice.fold_name(v_key)
            when 'resource_type' then 'resource'
            when 'ordering' then 'order'
            else sluice.fold_name(v_key)
        end;
        if v_name <> all (sluice.request_keys()) then
            raise exception 'an export has no option %', quote_literal(left(v_key, 200)) using
                errcode = 'IO400',
                hint = coalesce(
                    'did you mean ' || sluice.nearest_name(v_name, sluice.request_keys()) || '? ', ''
                ) || 'options are ' || array_to_string(sluice.request_keys(), ', ');
        elsif v_folded ? v_name and v_folded -> v_name <> v_value then
            raise exception '% is given twice', v_name using errcode = 'IO400', hint = 'give it once';
        elsif v_value <> 'null' then
            v_folded := v_folded || jsonb_build_object(v_name, v_value);
        end if;
    end loop;
    return v_folded;
end;
$$;
comment on function sluice.fold_request(jsonb) is
'A request with its names in their canonical form (expiresIn, resource_type), without nulls.
 IO400 for a name that an export does not know.';

create or replace function sluice.name_list(p_name text, p_value jsonb)
returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if jsonb_typeof(p_value) = 'array' and not jsonb_path_exists(p_value, '$[*] ? (@.type() != "string")')
        then
        return p_value;
    elsif jsonb_typeof(p_value) = 'string' then
        return to_jsonb(regexp_split_to_array(btrim(p_value #>> '{}'), '\s*,\s*'));
    end if;
    perform sluice.option_error(p_name, p_value::text, 'it takes a list of names: ["id", "email"]');
    return null;
end;
$$;
comment on function sluice.name_list(text, jsonb) is
'A list of names as a JSON array of strings, from such an array or from a,b. IO400.';

create or replace function sluice.whole_number(p_name text, p_value jsonb, p_least bigint)
returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_value #>> '{}' ~ '^\d{1,15}$' and (p_value #>> '{}')::bigint >= p_least then
        return to_jsonb((p_value #>> '{}')::bigint);
    end if;
    perform sluice.option_error(
        p_name, p_value::text, format('it takes a whole number, %s or more', p_least)
    );
    return null;
end;
$$;
comment on function sluice.whole_number(text, jsonb, bigint) is
'A whole number as JSON, from one or from its digits. IO400 for anything else.';

create or replace function sluice.request_value(p_name text, p_value jsonb)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_text constant text := p_value #>> '{}';
begin
    if p_name in ('fields', 'order', 'include', 'resources') then
        return sluice.name_list(p_name, p_value);
    elsif p_name = 'limit' then
        return sluice.whole_number(p_name, p_value, 0);
    elsif p_name = 'expires_in' then
        return sluice.whole_number(p_name, p_value, 60);
    elsif p_name = 'compression' and v_text not in ('none', 'gzip', 'zstd') then
        perform sluice.option_error(p_name, p_value::text, 'it takes one of none, gzip, zstd');
    elsif p_name = 'archive' and v_text not in ('zip', 'none') then
        perform sluice.option_error(p_name, p_value::text, 'it takes one of zip, none');
    elsif p_name in ('closed', 'header', 'escape_formulas') then
        if not pg_input_is_valid(v_text, 'boolean') then
            perform sluice.option_error(p_name, p_value::text, 'it takes true or false');
        end if;
        return to_jsonb(v_text::boolean);
    elsif p_name = 'callback_url' and v_text !~ '^https?://[^[:space:]]+$' then
        perform sluice.option_error(p_name, p_value::text, 'it takes an https URL');
    elsif p_name <> 'filters' then
        return to_jsonb(v_text);
    end if;
    return p_value;
end;
$$;
comment on function sluice.request_value(text, jsonb) is
'One value of the request of an export in its canonical form. IO400 for one that it cannot be.';

create or replace function sluice.request_parts(p_request jsonb, p_resources text[])
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_name text;
    v_key text;
    v_value jsonb;
    v_part jsonb;
    v_request jsonb := p_request;
begin
    foreach v_name in array '{fields,filters,order,include}'::text[] loop
        continue when not p_request ? v_name;
        v_part := '{}';
        if jsonb_typeof(p_request -> v_name) <> 'object' then
            perform sluice.option_error(
                v_name, (p_request -> v_name)::text,
                format('for several resources it takes an object: {"%s": …}', p_resources[1])
            );
        end if;
        for v_key, v_value in select p.key, p.value from jsonb_each(p_request -> v_name) as p loop
            if v_key <> all (p_resources) then
                raise exception '% of %, which is not exported', v_name, quote_literal(left(v_key, 200))
                    using errcode = 'IO400', hint = 'resources of this export are '
                    || array_to_string(p_resources, ', ');
            end if;
            v_part := v_part || jsonb_build_object(v_key, sluice.request_value(v_name, v_value));
        end loop;
        v_request := v_request || jsonb_build_object(v_name, v_part);
    end loop;
    return v_request;
end;
$$;
comment on function sluice.request_parts(jsonb, text[]) is
'The request of an export of several resources: fields, filters, order and include by resource.';

create or replace function sluice.export_request(
    p_resources text[], p_format text, p_request jsonb
)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_asked jsonb := sluice.fold_request(coalesce(p_request, '{}'));
    v_resources constant text[] := coalesce(p_resources, array(
        select jsonb_array_elements_text(sluice.name_list('resources', coalesce(
            v_asked -> 'resources', v_asked -> 'resource', '[]'
        )))
    ));
    v_several constant boolean := cardinality(v_resources) > 1;
    v_format constant text := sluice.check_file_format(
        coalesce(p_format, v_asked ->> 'format', 'ndjson')
    );
    v_twice text;
begin
    if v_asked ? 'resources' and v_asked ? 'resource' then
        raise exception 'resource and resources are both given' using errcode = 'IO400', hint = 'give one';
    elsif coalesce(cardinality(v_resources), 0) = 0 then
        raise exception 'the export names no resource' using
            errcode = 'IO400', hint = 'add "resource"; the list of resources shows the names';
    end if;
    select r into v_twice from unnest(v_resources) as r group by r having count(*) > 1 limit 1;
    if found then
        raise exception 'resource % is asked for twice', v_twice using errcode = 'IO400';
    end if;
    v_asked := v_asked - '{resource,resources,format}'::text[];
    if v_several then
        v_asked := sluice.request_parts(v_asked, v_resources);
        if v_asked ->> 'compression' in ('gzip', 'zstd') and coalesce(v_asked ->> 'archive', 'zip') = 'zip'
            then
            perform sluice.option_error(
                'compression', v_asked ->> 'compression', 'a zip is compressed; or say archive: none'
            );
        elsif v_asked ? 'limit' and coalesce(v_asked ->> 'closed', 'true') <> 'false' then
            raise exception 'an export of several resources has no limit' using
                errcode = 'IO400', hint = 'rows would refer to others that are left out: or say closed: false';
        end if;
        v_asked := '{"archive": "zip", "closed": true}' || v_asked;
    elsif v_asked ?| '{archive,closed}' then
        raise exception 'archive and closed are for several resources' using errcode = 'IO400';
    end if;
    return (
        select jsonb_build_object(
            'resources', to_jsonb(v_resources),
            'format', v_format,
            'expires_in', sluice.setting('export_ttl', '86400')::bigint
        ) || coalesce(jsonb_object_agg(a.key, case
            when v_several and a.key in ('fields', 'filters', 'order', 'include') then a.value
            else sluice.request_value(a.key, a.value)
        end), '{}')
        from jsonb_each(v_asked) as a
    );
end;
$$;
comment on function sluice.export_request(text[], text, jsonb) is
'The request of an export in its canonical form: resources, format, and what else was given. For
 several resources fields, filters, order and include are objects by resource, archive is zip or
 none (a file each), closed leaves out what refers to rows that are left out. IO400.';

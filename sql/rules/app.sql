-- Rules of the shipped resources: small, immutable, versioned. A rule never
-- changes its meaning; a new meaning is a new _v2.

-- asked first: "if not exists" wants the right to create all the same
do $$
begin
    if to_regnamespace('app') is null then
        create schema app;
    end if;
end
$$;

create or replace function app.is_email_v1(p_text text)
returns boolean
language sql immutable parallel safe
return p_text ~ '^[^\s@,;<>"()]+@[^\s@.,;<>"()]+(\.[^\s@.,;<>"()]+)+$'
    and octet_length(p_text) <= 254;
comment on function app.is_email_v1(text) is
'True when the text is an e-mail address: something, @, a domain with at least one dot;
 at most 254 bytes (RFC 5321, 4.5.3.1.3). It does not ask whether the mailbox exists.';

create or replace function app.is_kebab_case_v1(p_text text)
returns boolean
language sql immutable parallel safe
return p_text ~ '^[a-z0-9]+(-[a-z0-9]+)*$';
comment on function app.is_kebab_case_v1(text) is
'True when the text is kebab-case: groups of a-z and 0-9 joined by single hyphens.';

create or replace function app.word_count_v1(p_text text)
returns integer
language sql immutable parallel safe
return regexp_count(p_text, '\S+');
comment on function app.word_count_v1(text) is
'Number of words: runs of characters that are not white space.';

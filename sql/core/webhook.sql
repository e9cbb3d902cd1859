-- Webhooks: ended jobs on their way to their callback_url (https://www.standardwebhooks.com).

create or replace function sluice.webhook_secret()
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_secret text;
begin
    select w.secret into v_secret from sluice.webhook_secret as w;
    if v_secret is null then
        -- 244 bits from the server's strong random source
        insert into sluice.webhook_secret as w (secret)
        values ('whsec_' || encode(
            sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64'
        ))
        on conflict (is_only) do update set secret = w.secret
        returning w.secret into v_secret;
    end if;
    return v_secret;
end;
$$;
comment on function sluice.webhook_secret() is
'The secret that signs webhooks, for those who receive them; made at its first use.
 SLUICE_WEBHOOK_SECRET wins over it.';

create or replace function sluice.webhook_pause(p_attempt integer)
returns interval
language sql volatile
set search_path = pg_catalog, pg_temp
begin atomic
-- 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, as the specification proposes
select make_interval(
    secs => sluice.setting('webhook_backoff', '5')::double precision
        * (array[1, 60, 360, 1440, 3600, 7200, 10080, 14400, 17280])[p_attempt]
        * (0.9 + 0.2 * random())
);
end;
comment on function sluice.webhook_pause(integer) is
'How long to wait after so many attempts in vain, a tenth more or less; null: that was the last.
 sluice.webhook_backoff is the first pause in seconds, the others are its multiples.';

create or replace function sluice.delivery_body(p_job_id uuid)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
select jsonb_build_object(
    'type', (j.doc ->> 'kind') || '.' || (j.doc ->> 'status'),
    'timestamp', j.doc -> 'completed_at',
    -- receivers want it small: ten errors, the rest can be fetched
    'data', j.doc || case
        when jsonb_array_length(j.doc -> 'errors') > 10 then jsonb_build_object(
            'errors', jsonb_path_query_array(j.doc -> 'errors', '$[0 to 9]'),
            'errors_truncated', true
        )
        else '{}'
    end
)
from (select sluice.job_json(p_job_id) as doc) as j;
end;
comment on function sluice.delivery_body(uuid) is
'What is told of an ended job: {"type": "import.completed", "timestamp": …, "data": the job}.';

-- Who is at work on a job: known from its locks, so that whoever cancels it finds them.

create or replace function sluice.work_key(job_id uuid)
returns bigint
language sql immutable parallel safe
return hashtextextended(job_id::text, 2);
comment on function sluice.work_key(uuid) is
'The advisory lock of whoever works on a job: shared in the transaction of each step, exclusive in
 the one that cancels it.';

create or replace function sluice.hold_job(job_id uuid)
returns boolean
language sql volatile
return pg_try_advisory_xact_lock_shared(sluice.work_key(job_id));
comment on function sluice.hold_job(uuid) is
'Says for the rest of the transaction that it works on a job; false when somebody is just ending it:
 then leave it alone.';

-- Casting ahead: records of an upload are cast while the rest of it is still on its way.

alter table sluice.step
add column n_from bigint not null default 0,
add column n_to bigint not null default 9223372036854775807,
add column numbers bigint[];
comment on column sluice.step.n_from is 'cast: the first record number of these blocks';
comment on column sluice.step.n_to is 'cast: the record number behind the last one';
comment on column sluice.step.numbers is
'cast: only these of them, which were found wrong while the file was on its way; null: all';

create unlogged table sluice.ahead (
    job_id uuid primary key references sluice.job (job_id) on delete cascade,
    resource text not null,
    options jsonb not null,
    spec jsonb,
    statements jsonb,
    rules text,
    ended boolean not null default false
);
comment on table sluice.ahead is
'Uploads under way whose records may be cast already, by what was said at their beginning.';
comment on column sluice.ahead.spec is
'by what they are cast; null: nothing has been yet. When it is not the job''s own in the end, all is
 cast again';
comment on column sluice.ahead.rules is 'sluice.rules_mark() when the spec was made';
comment on column sluice.ahead.ended is 'no more of it is cast ahead: it did not go well';

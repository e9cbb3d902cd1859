-- POST /api/users/bulk writes "no metadata" as null, as the system did that it comes from.

alter table app.users alter column metadata drop not null;

-- A DNS proof is valid as long as its record is published; see mail.check_senders.
alter table mail.senders
  add column checked_at timestamptz,
  add column misses smallint not null default 0;
comment on column mail.senders.checked_at is 'When the record of a proved domain was last looked up; null: not since it was proved.';
comment on column mail.senders.misses is 'Consecutive checks without the record. The third removes the proof.';
create index senders_recheck_idx on mail.senders (checked_at nulls first) where kind = 'domain' and proved_at is not null;

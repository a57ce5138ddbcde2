-- Tags of captured mails, which Mailpit takes from X-Tags and plus addresses.
alter table mail.messages add column tags text[] not null default '{}';
comment on column mail.messages.tags is 'Tags in the captured mailbox: the tag, those of the header X-Tags and of plus addresses; its users may change them.';
update mail.messages m set tags = array[m.tag]
where m.tag is not null and exists (select from mail.recipients r where r.message = m.id and r.state = 'captured');

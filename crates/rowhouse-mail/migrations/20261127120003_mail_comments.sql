-- What each table and column of the schema holds, and constraints by their rule.

comment on table mail.messages is 'accepted mails, one row each';
comment on column mail.messages.id is 'key';
comment on column mail.messages.message_id is 'header Message-ID';
comment on column mail.messages.envelope_from is 'sender of the envelope';
comment on column mail.messages.sender is 'address of From';
comment on column mail.messages.subject is 'header Subject';
comment on column mail.messages.kind is 'name of its template, or raw';
comment on column mail.messages.tag is 'the sender''s own label';
comment on column mail.messages.tenant is 'its tenant; null means the platform''s';
comment on column mail.messages.request_id is 'request that sent it';
comment on column mail.messages.idempotency_key is 'a second one of the same key is the same mail';
comment on column mail.messages.list is 'list for one-click unsubscribe';
comment on column mail.messages.is_read is 'opened in the mailbox of captured mail';
comment on column mail.messages.size is 'bytes of mime';
comment on column mail.messages.mime is 'the whole mail';
comment on column mail.messages.created_at is 'when accepted';

comment on table mail.recipients is 'delivery state of a mail for each of its recipients';
comment on column mail.recipients.id is 'key';
comment on column mail.recipients.message is 'the mail';
comment on column mail.recipients.address is 'recipient';
comment on column mail.recipients.job is 'job that delivers';
comment on column mail.recipients.state is 'queued, sent, bounced and so on';
comment on column mail.recipients.attempts is 'attempts so far';
comment on column mail.recipients.slot_at is 'slot assigned by rate and cap';
comment on column mail.recipients.next_attempt_at is 'when it is retried';
comment on column mail.recipients.finished_at is 'when the final state was reached';
comment on column mail.recipients.last_reply is 'last reply of the relay';

comment on table mail.events is 'history of recipients, append-only';
comment on column mail.events.id is 'key';
comment on column mail.events.recipient is 'whose';
comment on column mail.events.at is 'when';
comment on column mail.events.event is 'what happened';
comment on column mail.events.attempt is 'its attempt';
comment on column mail.events.reply is 'reply of the relay';

comment on table mail.suppressions is 'addresses to which nothing is sent';
comment on column mail.suppressions.address is 'the address';
comment on column mail.suppressions.reason is 'bounce, complaint and so on';
comment on column mail.suppressions.list is 'only mails of this list';
comment on column mail.suppressions.tenant is 'only mails of this tenant';
comment on column mail.suppressions.detail is 'reply or reason';
comment on column mail.suppressions.created_at is 'since when';
comment on column mail.suppressions.expires_at is 'until when; null means no expiry';

comment on table mail.pace is 'when the next mail may be sent, one row';
comment on column mail.pace.is_only is 'keeps it at one row';
comment on column mail.pace.next_at is 'next free slot';

comment on table mail.days is 'mails counted by day, for the daily cap';
comment on column mail.days.day is 'the day, UTC';
comment on column mail.days.taken is 'slots assigned';

comment on table mail.hook is 'whether webhooks are wanted, one row';
comment on column mail.hook.is_only is 'keeps it at one row';

comment on table mail.drafts is 'mails that mail.send was given, until they are composed';
comment on column mail.drafts.id is 'key';
comment on column mail.drafts.tenant is 'whose';
comment on column mail.drafts.request_id is 'request that asked';
comment on column mail.drafts.message is 'as given';
comment on column mail.drafts.created_at is 'when';

comment on table mail.credentials is 'credentials of SMTP submission';
comment on column mail.credentials.name is 'user name';
comment on column mail.credentials.tenant is 'whose mails it sends';
comment on column mail.credentials.digest is 'digest of the secret';
comment on column mail.credentials.created_at is 'since when';
comment on column mail.credentials.last_used_at is 'last sign-in';
comment on column mail.credentials.revoked_at is 'refused from then on';

alter table mail.recipients rename constraint recipients_finished_check to recipients_finished_at_state_check;
alter table mail.suppressions rename constraint suppressions_address_reason_list_key to suppressions_address_reason_list_tenant_key;
alter table mail.suppressions rename constraint suppressions_list_check to suppressions_list_reason_check;

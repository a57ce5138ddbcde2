-- rowhouse: no-transaction
-- rowhouse: allow enum-value-added: rows and programs move over in later migrations, and the old value stays
alter type public.mood add value if not exists 'glad' before 'happy';

-- rowhouse: no-transaction
alter type public.mood add value 'glad' before 'happy';

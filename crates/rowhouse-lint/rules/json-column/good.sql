alter table public.notes add column detail jsonb;

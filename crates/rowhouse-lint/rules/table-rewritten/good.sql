-- rowhouse: no-transaction
vacuum public.notes;

-- rowhouse: phase backfill
update public.notes set length = char_length(body) where length is null;

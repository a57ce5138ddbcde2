insert into public.moods (name) values ('calm');

create policy notes_archive on public.notes for select to archivist using (true);

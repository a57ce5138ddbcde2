alter table public.bookings add constraint bookings_room_exclude exclude using gist (room with =, during with &&);

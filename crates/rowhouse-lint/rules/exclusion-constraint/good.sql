create table public.bookings (room bigint not null, during tstzrange not null, constraint bookings_room_exclude exclude using gist (room with =, during with &&));
select tenancy.protect('public.bookings');

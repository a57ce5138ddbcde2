create table internal.notes (id bigint primary key);

-- finds extension citext
-- bad
reset role;
create extension citext schema public
-- good
reset role;
create extension citext schema extensions

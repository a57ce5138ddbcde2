alter type public.mood rename value 'happy' to 'glad';

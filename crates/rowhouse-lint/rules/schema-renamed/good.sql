create schema reporting;
create view reporting.totals with (security_invoker) as select * from reports.totals;

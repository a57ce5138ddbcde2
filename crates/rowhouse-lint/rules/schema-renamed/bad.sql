alter schema reports rename to reporting;

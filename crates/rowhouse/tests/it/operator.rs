//! The platform's SQL uses PostgreSQL's own operators, whatever a project defines under their names.

use reqwest::StatusCode;
use rowhouse_testkit::TestDatabase;

use crate::support::{PROJECT, TestApp, settings};

/// Operators that fit the columns of `auth.users` better than PostgreSQL's, which compare text with text.
const BETTER_FITS: &str = "
create function public.refuse(varchar, varchar) returns boolean language plpgsql as
  $$begin raise exception 'an operator of the project runs as %', current_user; end$$;
create function public.refuse(varchar, text) returns boolean language sql as 'select public.refuse($1, $2::varchar)';
create function public.refuse(text, varchar) returns boolean language sql as 'select public.refuse($1::varchar, $2)';
create operator public.= (leftarg = varchar, rightarg = varchar, function = public.refuse);
create operator public.= (leftarg = varchar, rightarg = text, function = public.refuse);
create operator public.= (leftarg = text, rightarg = varchar, function = public.refuse);
";

#[tokio::test]
async fn operator_of_a_project_is_not_used_by_the_platform() {
    let db = TestDatabase::create().await;
    db.migrate(PROJECT).await;
    db.migrate(BETTER_FITS).await;
    let app = TestApp::start_on(db, settings()).await;
    let user = app.sign_up("ada@example.com").await;
    let answer = app.get(&user.token, "/rest/v1/todos").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let answer = app.get(&user.token, "/auth/v1/user").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

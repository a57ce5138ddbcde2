use std::pin::pin;
use std::time::Duration;

use super::Deadline;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn answer_after_the_deadline_is_not_awaited() {
    assert_eq!(Deadline::new(SECOND).wait(pin!(std::future::pending::<()>())).await, None);
}

#[tokio::test(start_paused = true)]
async fn request_that_asked_for_more_time_gets_it() {
    let deadline = Deadline::new(SECOND);
    let asking = async {
        deadline.extend(10 * SECOND);
        tokio::time::sleep(5 * SECOND).await;
        "done"
    };
    assert_eq!(deadline.wait(pin!(asking)).await, Some("done"));
    let asking_for_less = async {
        deadline.extend(SECOND);
        tokio::time::sleep(5 * SECOND).await;
        "done"
    };
    assert_eq!(deadline.wait(pin!(asking_for_less)).await, Some("done"));
}

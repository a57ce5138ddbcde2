use std::time::Duration;

use super::Patience;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn late_answer_is_not_waited_for() {
    assert_eq!(Patience::new(SECOND).wait(std::future::pending::<()>()).await, None);
}

#[tokio::test(start_paused = true)]
async fn request_that_asked_for_more_time_gets_it() {
    let patience = Patience::new(SECOND);
    let asking = async {
        patience.extend(10 * SECOND);
        tokio::time::advance(5 * SECOND).await;
        "done"
    };
    assert_eq!(patience.wait(asking).await, Some("done"));
    let asking_for_less = async {
        patience.extend(SECOND);
        tokio::time::advance(5 * SECOND).await;
        "done"
    };
    assert_eq!(patience.wait(asking_for_less).await, Some("done"));
}

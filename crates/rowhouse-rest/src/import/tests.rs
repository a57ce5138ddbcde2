use std::convert::Infallible;

use futures_util::stream;
use tokio::time::sleep;

use super::{Body, Duration, Error, Lines, RestSettings};

/// A line in 29 seconds: just within `rest.stall_timeout`.
fn trickle(count: usize) -> Body {
    Body::from_stream(stream::unfold(0, move |sent| async move {
        sleep(Duration::from_secs(29)).await;
        (sent < count).then_some((Ok::<_, Infallible>("{\"n\":1}\n"), sent + 1))
    }))
}

#[tokio::test(start_paused = true)]
async fn body_that_trickles_is_refused_after_a_minute() {
    let begun = tokio::time::Instant::now();
    let refused = Lines::new(trickle(1000), &RestSettings::default()).batch().await;
    assert!(matches!(refused, Err(Error::Slow)));
    assert!(begun.elapsed() < Duration::from_secs(90));

    let patient = RestSettings { import_min_rate: 0, ..RestSettings::default() };
    let batch = Lines::new(trickle(1000), &patient).batch().await.unwrap().unwrap();
    assert_eq!(batch.last, 1000);
}

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const FOLLOWING: Following = Following {
    channel: "news",
    ignored: &["reload config"],
    debounce: Duration::from_millis(100),
    retry: Duration::from_secs(2),
    limit: Duration::from_secs(5),
};

fn notice(channel: &str, payload: &str) -> Heard {
    Heard::Notice { channel: channel.to_owned(), payload: payload.to_owned() }
}

/// Runs `follow` for a while in paused time, sending each message at its millisecond; returns when reloads began, and
/// the number of beats.
async fn reloads(
    said: &[(u64, Heard)],
    length: Duration,
    reload: impl AsyncFn(usize) -> Result<(), String>,
) -> (Vec<u128>, usize) {
    let (hub, begun, beats) = (ListenHub::default(), std::sync::Mutex::new(Vec::new()), AtomicUsize::new(0));
    let start = Instant::now();
    let counted = || async {
        let count = {
            let mut begun = begun.lock().unwrap();
            begun.push(start.elapsed().as_millis());
            begun.len()
        };
        reload(count).await
    };
    let beat = || {
        beats.fetch_add(1, Ordering::Relaxed);
    };
    let saying = async {
        for (at, heard) in said {
            tokio::time::sleep_until(start + Duration::from_millis(*at)).await;
            hub.0.send(heard.clone()).unwrap();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = follow(&hub, FOLLOWING, counted, beat) => panic!("the hub is there"),
        () = saying => {}
        () = tokio::time::sleep_until(start + length) => {}
    }
    (begun.into_inner().unwrap(), beats.into_inner())
}

async fn fine(_: usize) -> Result<(), String> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn burst_causes_one_reload_and_others_none() {
    let burst = [(1000, notice("news", "")), (1010, notice("news", "")), (1090, Heard::Resync)];
    let others = [(3000, notice("else", "")), (4000, notice("news", "reload config")), (5000, Heard::Resync)];
    let said: Vec<_> = burst.into_iter().chain(others).collect();
    let (begun, beats) = reloads(&said, Duration::from_secs(60), fine).await;
    assert_eq!(begun, [0, 1100, 5100]);
    assert!(beats > 100, "{beats} beats in a minute");
}

#[tokio::test(start_paused = true)]
async fn failed_reload_is_retried_although_other_channels_are_busy() {
    let said: Vec<_> = (1..100).map(|at| (at * 100, notice("else", ""))).collect();
    let twice = async |count| if count < 3 { Err("no".to_owned()) } else { Ok(()) };
    let (begun, _) = reloads(&said, Duration::from_secs(60), twice).await;
    assert_eq!(begun, [0, 2100, 4200]);
}

#[tokio::test(start_paused = true)]
async fn reload_that_hangs_does_not_beat_and_is_given_up() {
    let hang = async |count| match count {
        1 => std::future::pending().await,
        _ => Ok(()),
    };
    let (begun, beats) = reloads(&[], Duration::from_millis(4_900), hang).await;
    assert_eq!((begun.as_slice(), beats), ([0].as_slice(), 1));
    let (begun, _) = reloads(&[], Duration::from_secs(20), hang).await;
    assert_eq!(begun, [0, 7100]);
}

#[tokio::test(start_paused = true)]
async fn notification_during_a_reload_causes_another() {
    let slow = async |_| {
        let _one_second = tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>()).await;
        Ok(())
    };
    let (begun, _) = reloads(&[(500, notice("news", ""))], Duration::from_secs(20), slow).await;
    assert_eq!(begun, [0, 1100]);
}

#[tokio::test]
async fn following_ends_with_the_hub() {
    let hub = ListenHub::default();
    let mut heard = hub.subscribe();
    drop(hub);
    assert!(FOLLOWING.due(&mut heard, None, || ()).await.is_err());
}

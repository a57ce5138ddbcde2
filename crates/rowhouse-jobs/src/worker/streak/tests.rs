use std::time::{Duration, Instant};

use super::Streak;

#[test]
fn streak_outlasts_a_lost_beat_and_breaks_with_a_gap() {
    let (begun, second) = (Instant::now(), Duration::from_secs(1));
    let mut streak = Streak::new(3 * second);
    assert_eq!(streak.length(begun), Duration::ZERO);
    for at in [0, 1, 3, 5] {
        streak.go_on(begun + at * second);
    }
    assert_eq!(streak.length(begun + 6 * second), 6 * second);
    assert_eq!(streak.length(begun + 9 * second), Duration::ZERO, "stopped, or without a database");
    streak.go_on(begun + 9 * second);
    assert_eq!(streak.length(begun + 10 * second), second);
}

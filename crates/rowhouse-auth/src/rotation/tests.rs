use proptest::prelude::*;

use super::*;

const INTERVAL: Duration = Duration::from_secs(10);

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn at(counter: i64, seconds_ago: i64) -> Current {
    Current { counter, rotated_at: now() - time::Duration::seconds(seconds_ago) }
}

fn judged(current: Current, presented: i64) -> Rotation {
    judge(current, presented, now(), INTERVAL)
}

#[test]
fn current_token_is_rotated_however_old() {
    assert_eq!(judged(at(7, 86_400 * 365), 7), Rotation::Rotate);
}

#[test]
fn token_before_the_current_one_gets_the_current_one_however_late() {
    assert_eq!(judged(at(7, 86_400), 6), Rotation::Repeat(RepeatCause::ParentOfActive));
}

#[test]
fn older_token_is_accepted_within_the_interval_only() {
    assert_eq!(judged(at(7, 10), 5), Rotation::Repeat(RepeatCause::WithinInterval));
    assert_eq!(judged(at(7, 11), 5), Rotation::Reused);
    assert_eq!(judged(at(7, -3600), 1), Rotation::Repeat(RepeatCause::WithinInterval), "the clock went back");
}

#[test]
fn token_that_was_not_issued_is_unknown() {
    assert_eq!(judged(at(7, 0), 8), Rotation::Unknown);
}

fn presented(token: &str, seconds_ago: i64) -> Presented {
    Presented { token: token.to_owned(), updated_at: now() - time::Duration::seconds(seconds_ago) }
}

fn row(token: &str, presented_ago: i64, revoked: bool, current: Option<Current>) -> Rotation {
    let newest = Newest { token: "c".to_owned(), parent: Some("b".to_owned()), revoked };
    judge_row(&presented(token, presented_ago), &newest, current, now(), INTERVAL)
}

#[test]
fn rows_without_a_counter_are_judged_as_a_chain() {
    assert_eq!(row("c", 86_400, false, None), Rotation::Rotate);
    assert_eq!(row("b", 86_400, false, None), Rotation::Repeat(RepeatCause::ParentOfActive));
    assert_eq!(row("a", 10, false, None), Rotation::Repeat(RepeatCause::WithinInterval));
    assert_eq!(row("a", 11, false, None), Rotation::Reused);
    assert_eq!(row("c", 0, true, None), Rotation::Reused, "a revoked family");
}

#[test]
fn rows_come_before_the_first_counter() {
    let repeat = Rotation::Repeat(RepeatCause::ParentOfActive);
    assert_eq!((row("c", 0, true, Some(at(1, 60))), row("b", 0, true, Some(at(1, 60)))), (repeat, repeat));
    assert_eq!(row("c", 0, true, Some(at(2, 10))), Rotation::Repeat(RepeatCause::WithinInterval));
    assert_eq!(row("c", 0, true, Some(at(2, 11))), Rotation::Reused);
    assert_eq!(row("a", 0, true, Some(at(1, 10))), Rotation::Repeat(RepeatCause::WithinInterval));
    assert_eq!(row("a", 0, true, Some(at(1, 11))), Rotation::Reused);
}

/// A session as the database has it, with a client that may lose answers and a thief that has copied a token.
#[derive(Debug)]
struct Model {
    current: Current,
    clock: OffsetDateTime,
    is_over: bool,
    /// The token that the owner has.
    owned: i64,
    stolen: Option<i64>,
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Event {
    /// The owner sends its token so many times at once; the answers of `delivered` arrive, the others are lost.
    Refresh { requests: usize, delivered: Vec<bool> },
    /// The clock steps, in seconds, forwards or back.
    Step(i64),
    /// Somebody copies the owner's token.
    Steal,
}

impl Model {
    fn new() -> Self {
        let current = Current { counter: 1, rotated_at: now() };
        Self { current, clock: now(), is_over: false, owned: 1, stolen: None }
    }

    /// What `auth.refresh_session` does; the counter of the answer, or none.
    fn refresh(&mut self, presented: i64) -> Option<i64> {
        if self.is_over {
            return None;
        }
        match judge(self.current, presented, self.clock, INTERVAL) {
            Rotation::Rotate => {
                self.current = Current { counter: presented + 1, rotated_at: self.clock };
                Some(self.current.counter)
            }
            Rotation::Repeat(_) => Some(self.current.counter),
            Rotation::Reused => {
                self.is_over = true;
                None
            }
            Rotation::Unknown => None,
        }
    }

    fn owner_refreshes(&mut self, requests: usize, delivered: &[bool]) {
        let sent = self.owned;
        for request in 0..requests {
            let answer = self.refresh(sent).expect("the owner stays signed in");
            if delivered.get(request % delivered.len().max(1)) == Some(&true) {
                self.owned = self.owned.max(answer);
            }
        }
        assert!(self.current.counter - self.owned <= 1, "the owner is at most one behind");
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Refresh { requests, delivered } => self.owner_refreshes(*requests, delivered),
            Event::Step(seconds) => self.clock += time::Duration::seconds(*seconds),
            Event::Steal => self.stolen = Some(self.owned),
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => (1..=200_usize, proptest::collection::vec(any::<bool>(), 1..8))
            .prop_map(|(requests, delivered)| Event::Refresh { requests, delivered }),
        2 => (-100_000..100_000_i64).prop_map(Event::Step),
        1 => Just(Event::Steal),
    ]
}

proptest! {
    #[test]
    fn owner_is_never_signed_out(events in proptest::collection::vec(event(), 0..60)) {
        let mut model = Model::new();
        for event in &events {
            model.apply(event);
        }
        prop_assert!(!model.is_over);
        prop_assert!(model.refresh(model.owned).is_some());
    }

    #[test]
    fn stolen_token_two_behind_outside_the_interval_ends_the_session(
        events in proptest::collection::vec(event(), 0..60), late in 11..1_000_000_i64,
    ) {
        let mut model = Model::new();
        for event in &events {
            model.apply(event);
        }
        let Some(stolen) = model.stolen.filter(|stolen| model.current.counter - stolen >= 2) else { return Ok(()) };
        model.clock = model.current.rotated_at + time::Duration::seconds(late);
        prop_assert_eq!(model.refresh(stolen), None);
        prop_assert!(model.is_over, "by its next use");
        prop_assert_eq!(model.refresh(model.owned), None, "the whole family is over");
    }
}

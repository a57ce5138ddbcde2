//! `KeyStore::reseal` with every kind of sealed value.

use std::sync::Arc;

use rowhouse_auth::{AuthSettings, KeyStore, sealed_columns};
use rowhouse_db::{Control, DbSettings};
use rowhouse_kernel::{Secret, SystemRng};
use rowhouse_testkit::{Break, TestDatabase, TripCounter};

use crate::app::App;
use crate::external::{FakeProvider, acme};
use crate::reseal::{Held, NEW, OLD, counts, keyed, on};

/// More round trips than it makes.
const MOST_TRIPS: u64 = 120;

/// The keys as a process with these settings has them.
async fn open(app: &App, control: &Control, settings: AuthSettings) -> KeyStore {
    KeyStore::open(control.clone(), &settings, app.origin(), Arc::new(SystemRng)).await.unwrap()
}

/// Whoever knows both secrets reads everything, whichever of them it seals with; how many values each has.
async fn readable(app: &App, control: &Control, (from, to): (&str, &str), auth: &AuthSettings) -> (u64, u64) {
    let counted = async |current: &str, previous: &str| {
        let store = open(app, control, keyed(auth.clone(), current, Some(previous))).await;
        counts(&store.reseal(true).await.unwrap())
    };
    let (forth, back) = (counted(to, from).await, counted(from, to).await);
    for column in sealed_columns() {
        let ((old, new), (new_too, old_too)) = (forth[column], back[column]);
        assert_eq!((old, new), (old_too, new_too), "{column}");
        assert!(old + new > 0, "{column}");
    }
    (forth.values().map(|(old, _)| old).sum(), forth.values().map(|(_, new)| new).sum())
}

/// After each break the work is finished in a second run, and the next one goes back to the former secret.
#[tokio::test]
async fn reseal_that_breaks_off_goes_on_and_both_secrets_read_everything_meanwhile() {
    let provider = FakeProvider::start().await;
    let (auth, counter) = (acme(&provider), TripCounter::of_requests().await);
    let app = on(TestDatabase::create().await, keyed(auth.clone(), OLD, None)).await;
    let held = Held::make(&app, &provider).await;
    let whole = Control::open(&app.db.urls.control, &DbSettings::default()).unwrap();
    let url = Secret::new(counter.url("rowhouse", &app.db.name));
    let fragile = Control::open(&url, &DbSettings::default()).unwrap();
    open(&app, &whole, keyed(auth.clone(), NEW, Some(OLD))).await.reseal(false).await.unwrap();
    let (mut from, mut to) = (NEW, OLD);
    let mut in_between = 0;
    for how in Break::ALL {
        let mut is_done = false;
        for ahead in 1..=MOST_TRIPS {
            let both = keyed(auth.clone(), to, Some(from));
            let store = open(&app, &fragile, both.clone()).await;
            counter.break_at(ahead, how);
            is_done = store.reseal(false).await.is_ok();
            counter.break_none();
            let (old, new) = readable(&app, &whole, (from, to), &auth).await;
            in_between += u64::from(old > 0 && new > 0);
            open(&app, &whole, both).await.reseal(false).await.unwrap();
            let done = open(&app, &whole, keyed(auth.clone(), to, None)).await.reseal(true).await.unwrap();
            assert!(done.iter().all(|column| column.resealed == 0), "{done:?}");
            (from, to) = (to, from);
            if is_done {
                break;
            }
        }
        assert!(is_done, "more than {MOST_TRIPS} round trips");
    }
    assert!(in_between > 0, "no break came in the middle");
    let last = on(app.db.clone(), keyed(auth, from, None)).await;
    held.check(&last).await;
}

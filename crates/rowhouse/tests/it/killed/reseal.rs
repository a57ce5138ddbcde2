//! `rowhouse keys reseal`, killed at each of its round trips.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

use nix::sys::signal::Signal;
use reqwest::Method;
use rowhouse_auth::{AuthSettings, KeyStore};
use rowhouse_db::{Control, DbSettings};
use rowhouse_kernel::{Origin, Secret, SharedClock, SystemClock, SystemRng};
use rowhouse_testkit::{Break, in_time};
use serde_json::json;

use super::server::{SECRET, Server};
use super::{AUTOCONFIRM, person};

const OTHER: &str = "another key secret of thirty-two characters";
/// More round trips than the command makes.
const MOST_TRIPS: u64 = 150;
/// The columns in which [`arrange`] has put something.
const SEALED: [&str; 5] = [
    "auth.signing_keys.private_sealed",
    "auth.refresh_keys.sealed",
    "auth.root_secrets.sealed",
    "auth.mfa_factors.secret",
    "auth.flow_state.provider_state",
];

/// Two factors, and two sign-ins at a provider that have begun; the keys are there anyway.
async fn arrange(server: &Server) {
    let session = server.answer("/signup", &person(1)).await.ok();
    for name in ["phone", "tablet"] {
        let factor = server.post("/factors", &json!({ "factor_type": "totp", "friendly_name": name }));
        server.send(factor.bearer_auth(session["access_token"].as_str().unwrap())).await.ok();
        let begun = server.request(Method::GET, "/auth/v1/authorize?provider=github");
        assert!(server.send(begun).await.status.is_redirection());
    }
}

/// The keys of a process with both secrets, or with one.
async fn open(control: &Control, current: &str, previous: Option<&str>) -> Result<KeyStore, String> {
    let settings = AuthSettings {
        key_secret: Some(Secret::new(current)),
        key_secret_previous: previous.map(Secret::new),
        ..AuthSettings::default()
    };
    let clock: SharedClock = Arc::new(SystemClock);
    let store = KeyStore::open(control.clone(), &settings, Origin::system(&clock), Arc::new(SystemRng)).await;
    store.map_err(|error| error.to_string())
}

/// How many values each column has, under the former secret and under the current one, if all can be read.
async fn counts(store: &KeyStore) -> BTreeMap<&'static str, (u64, u64)> {
    let columns = store.reseal(true).await.unwrap();
    columns.iter().map(|column| (column.column, (column.resealed, column.current))).collect()
}

/// Runs the command from one secret to another; whether it was killed on its way.
async fn reseal(server: &Server, (from, to): (&str, &str), kill_at: Option<u64>) -> bool {
    let secrets = [("ROWHOUSE_AUTH__KEY_SECRET", to), ("ROWHOUSE_AUTH__KEY_SECRET_PREVIOUS", from)];
    let child = server.command(&["keys", "reseal", "--json"], &secrets).spawn().unwrap();
    if let Some(ahead) = kill_at {
        let pid = i32::try_from(child.id().unwrap()).unwrap();
        server.counter.kill_at(ahead, Break::BeforeClient, pid);
    }
    let output = in_time("the command ends", child.wait_with_output()).await.unwrap();
    server.counter.break_none();
    let is_killed = output.status.signal() == Some(Signal::SIGKILL as i32);
    assert!(is_killed || output.status.success(), "{output:?}");
    is_killed
}

/// After a kill the database is as before the next round trip, so the moments before those are these.
#[tokio::test]
async fn reseal_that_is_killed_goes_on_and_both_secrets_read_everything_meanwhile() {
    let github = json!({ "github": { "client_id": ["web"], "secret": "sesame" } }).to_string();
    let mut server = Server::start(&[AUTOCONFIRM, ("ROWHOUSE_AUTH__EXTERNAL", github.as_str())]).await;
    arrange(&server).await;
    server.kill().await;
    let control = Control::open(&server.db.urls.direct, &DbSettings::default()).unwrap();
    let (mut from, mut to) = (SECRET, OTHER);
    reseal(&server, (from, to), None).await;
    (from, to) = (to, from);
    let (mut half, mut is_killed) = (0, true);
    for ahead in 1..=MOST_TRIPS {
        is_killed = reseal(&server, (from, to), Some(ahead)).await;
        let states = [
            counts(&open(&control, to, Some(from)).await.unwrap()).await,
            counts(&open(&control, from, Some(to)).await.unwrap()).await,
        ];
        for column in SEALED {
            let ((old, new), (new_too, old_too)) = (states[0][column], states[1][column]);
            assert!(old + new > 0 && (old, new) == (old_too, new_too), "{column} at {ahead}: {states:?}");
        }
        let old: u64 = states[0].values().map(|(old, _)| old).sum();
        let new: u64 = states[0].values().map(|(_, new)| new).sum();
        half += u64::from(old > 0 && new > 0);
        assert!(!reseal(&server, (from, to), None).await);
        let done = counts(&open(&control, to, None).await.unwrap()).await;
        assert!(done.values().all(|(old, _)| *old == 0), "{done:?}");
        assert!(open(&control, from, None).await.is_err(), "the former secret is of no use any more");
        (from, to) = (to, from);
        if !is_killed {
            break;
        }
    }
    assert!(!is_killed, "more than {MOST_TRIPS} round trips");
    assert!(half > 0, "no kill came in the middle");
}

//! The data API against a real database: golden requests and answers, what SQL they become, and that no request
//! shows more than plain SQL would.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod binding;
mod case;
mod checklist;
mod golden;
mod harness;
mod moving;
mod name;
mod property;
mod reload;
mod round_trip;
mod value;

//! Proofs on schemas that are clean, and on each way to be none.

mod clean;
mod declared;
mod foreign;
mod leak;
mod mutant;
mod over_http;
mod scale;
mod scene;
mod support;

#![doc = include_str!("../README.md")]

mod admin;
pub mod app;
pub mod cli;
pub mod command;
mod descriptor;
mod mail;
pub mod outcome;
pub mod platform;
pub mod project;
mod safety;
mod secrets;
mod state;
pub mod telemetry;
mod worker;

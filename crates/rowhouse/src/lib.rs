#![doc = include_str!("../README.md")]

pub mod cli;
pub mod command;
mod descriptor;
mod memory;
pub mod modules;
pub mod platform;
mod safety;
pub mod telemetry;

//! Identity through its front door, on a real database.

mod account;
mod admin;
mod app;
mod input;
mod key;
mod refresh;
mod signin;
mod signup;
mod tenant;

//! The black-box suite: one binary, so that it links once.
//!
//! Each module proves one promise or one surface through the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by a panic"
)]

mod tidy;

//! Black-box and fault tests of signalbox, and what they are made of.

pub mod components;

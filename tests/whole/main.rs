//! Whole-system tests: the router of all functions over the embedded engines, driven by the client library.
//! A fresh server a test; they run in parallel.

mod costs;

//! What a function costs, measured on its real bootstrap and counted on the engines: `cargo xtask measure`.

pub mod aws;
pub mod bootstrap;
pub mod capacity;
pub mod costs;
pub mod event;
pub mod prices;
pub mod runtime_api;
pub mod scene;
pub mod startup;

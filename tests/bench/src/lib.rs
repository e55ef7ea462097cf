//! Measurements of what a function costs: its real bootstrap is run, and its calls are counted on
//! the engines (`cargo xtask measure`).

pub mod aws;
pub mod bootstrap;
pub mod capacity;
pub mod costs;
pub mod event;
pub mod functions;
pub mod prices;
pub mod runtime_api;
pub mod scene;
pub mod startup;

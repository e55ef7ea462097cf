//! The commands, a file each. What clap reads of a command stands beside what the command does.

pub(crate) mod completions;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod whoami;

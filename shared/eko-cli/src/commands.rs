//! The commands, a file each. What clap reads of a command stands beside what the command does.

pub(crate) mod attachments;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod devices;
pub(crate) mod export;
pub(crate) mod groups;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod listen;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod send;
pub(crate) mod verify;
pub(crate) mod whoami;

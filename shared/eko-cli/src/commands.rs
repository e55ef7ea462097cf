//! The commands, one per file. A file holds the command's options, as clap parses them, and the
//! code that runs it.

pub(crate) mod account;
pub(crate) mod attachments;
pub(crate) mod block;
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
pub(crate) mod man;
pub(crate) mod privacy;
pub(crate) mod profile;
pub(crate) mod recover;
pub(crate) mod report;
pub(crate) mod requests;
pub(crate) mod resend;
pub(crate) mod send;
pub(crate) mod settings;
pub(crate) mod verify;
pub(crate) mod whoami;

//! Verbs: one file each, with its options, its plan where it has one, and its report.
//!
//! A verb is a function of an open store, a [`Context`](crate::context::Context) and options; it returns a report, which the command
//! line prints. Verbs read no clock, no environment and no terminal.

pub mod about;
pub mod activity;
pub mod audit;
pub mod backup;
pub mod block;
pub mod builder_index;
pub mod collection;
pub mod compare;
pub mod config;
pub mod destination;
pub mod doctor;
pub mod gc;
pub mod growth;
pub mod histories;
pub mod init;
pub mod inspect;
pub mod invalidate;
pub mod list;
pub mod lookup;
pub mod members;
pub mod names;
pub mod outdated;
pub mod overview;
pub mod panel;
pub mod pin;
pub mod prefetch;
pub mod promote;
pub mod publisher;
pub mod pull;
pub mod push;
pub mod rebuild;
pub mod record;
pub mod remote;
pub mod requirements;
pub mod reserve;
pub mod restore;
pub mod route;
pub mod run;
pub mod share;
pub mod sight;
pub mod stats;
pub mod status;
pub mod token;
pub mod upgrade;
pub mod verify;
pub mod view;
pub mod watch;
pub mod webhook;

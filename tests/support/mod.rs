//! What the integration tests stand on: wheels made on the spot, and the real binary in an environment of its own.

#![allow(unused_imports, reason = "each test crate uses its own part")]

pub(crate) mod bucket;
pub(crate) mod disk;
pub(crate) mod env;
pub(crate) mod in_process;
pub(crate) mod peer;
pub(crate) mod postgres;
pub(crate) mod random;
pub(crate) mod server;
pub(crate) mod skip;
pub(crate) mod wait;
pub(crate) mod wcas_server;
pub(crate) mod wheels;

pub(crate) use bucket::{Weed, WeedCluster, weed};
pub(crate) use disk::{Fill, SmallDisk};
pub(crate) use env::{Env, Output, Running};
pub(crate) use in_process::{Got, request};
pub(crate) use postgres::{Postgres, postgres};
pub(crate) use random::Random;
pub(crate) use server::{Reply, Server};
pub(crate) use skip::skip;
pub(crate) use wait::until;
pub(crate) use wcas_server::{Connection, Heard, WcasServer};
pub(crate) use wheels::{Sdist, Wheel, elf_needing};

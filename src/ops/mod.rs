//! Verbs: one file each, with its options, its plan where it has one, and its report.
//!
//! A verb is a function of an open store, a [`Context`] and options; it returns a report, which the command line prints. Verbs
//! read no clock, no environment and no terminal.

mod about;
mod block;
mod builder_rules;
mod cache;
mod collection;
pub mod config;
mod destination;
mod doctor;
mod gc;
mod guard;
mod healing;
mod histories;
mod holding;
mod import;
mod inspect;
mod invalidate;
mod list;
mod listing;
mod lookup;
mod members;
mod merge;
mod overview;
mod ownership;
mod parallel;
mod pin;
mod promote;
mod publisher;
mod pull;
mod push;
mod rank;
mod reach;
mod rebuild;
mod record;
mod remote;
mod requirements;
mod reserve;
mod retain;
mod route;
mod run;
mod search;
mod shown;
mod stats;
mod status;
mod token;
pub mod units;
mod variant;
mod variants;
mod verify;
mod view;
mod watch;
mod write_back;

pub use about::{AboutView, about};
pub use block::{block, blocked, blocks, unblock};
pub use builder_rules::{Builder, CacheRules, CacheRulesError, ExpectedBuilds, LocalVersions};
pub use cache::{Buildable, CachedProject, CachedWheel, WantReport, buildable, cached, forget_wanted, wanted};
pub use collection::{
    CollectionReport, DiffReport, FileChange, LogReport, Newest, RevisionSpec, RollbackReport, Settings, SignedProblem,
    SignedReport, SignedText, collection, collections, create_collection, delete_collection, delete_snapshot, diff,
    keep_signature, log, revision_text, rollback, set_collection, snapshot, verify_signed,
};
pub use config::{ApplyOptions, Config, ConfigChange, ConfigReport, SettingChange, apply_config, show_config};
pub use destination::Destination;
pub use doctor::{DoctorReport, Finding, Severity, diagnose, doctor};
pub use gc::{GcOptions, GcReport, RemovedReference, gc};
pub use guard::{Looked, bound_to};
pub use healing::{open_blob, read_through};
pub use histories::{FileHistory, histories, inspection_of};
pub use holding::{find_listed, find_listed_anywhere};
pub use import::{
    CollectionAt, FromagerRepo, ImportOptions, ImportReport, ImportedDistribution, Kept, Made, Outcome, Refused,
    Skipped, Source, Target, Upload, UploadTerms, find_fromager, find_sources, import, refer, upload,
};
pub use inspect::{Bond, InspectReport, InspectedFile, inspect};
pub use invalidate::{InvalidateOptions, InvalidateReport, RemovedEntry, UndoReport, invalidate, undo, yank};
pub use list::{Listed, Reason, ShowReport, WhyReport, list, show, why};
pub use listing::{
    Asking, Flights, Held, Listed as ListedProject, Listing, Recall, Sought, listing, projects, seek, serial, stamp,
    stamp_of_all,
};
pub use lookup::{LookupOptions, LookupReport, MetadataReport, lookup, metadata};
pub use members::DamagedDistribution;
pub use merge::Fate;
pub use overview::{DayLookups, Overview, ServedName, overview};
pub use ownership::OwnProjects;
pub use parallel::fit_threads;
pub use pin::{PinReport, Pinned, pin, pins, unpin};
pub use promote::{CopyReport, PromoteOptions, PromoteReport, RefusedPromotion, copy_collection, promote};
pub use publisher::{
    Denial, DenialKind, Issuers, PublisherOptions, PublisherReport, add_publisher, audience, burn, mint, publishers,
    remove_publisher,
};
pub use pull::{
    Offer, ProbeReport, PullNote, PullOptions, PullReport, Pulled, Refusal, RemoteFile, RemoteSight, Sample,
    SignedSample, Told, Unmet, Want, pull, pull_through, remote_metadata, sidecar_of, test_remote,
};
pub use push::{
    FailedPush, LeftAlone, PushOptions, PushReport, Pushed, Selection, Withheld, WriteBackReport, push, waiting,
};
pub use rebuild::{RebuildOptions, RebuildProblem, RebuildReport, UnnamedBlob, rebuild};
pub use record::{By, LogCheck, LogProblem, PruneReport, RecordReport, prune_log, records, verify_log};
pub use remote::{Health, RemoteChange, RemoteReport, add_remote, remotes, remove_remote, set_remote};
pub use requirements::{RequirementSet, WantSet, names as requirement_names, wants};
pub use reserve::{reservations, reserve, unreserve};
pub use route::{
    Accepting, Considered, Decision, ExplainReport, Router, RoutesReport, Rule, Subject, VariantReport,
    VariantSettings, delete_variant, explain, remove_override, router, routes, set_default_collection, set_override,
    set_variant, show_variant,
};
pub use run::{
    Begun, FileKind, Interpreter, KeyFile, RunFile, RunInputs, RunReport, begin_run, explain_run, finish_run,
    read_key_files, take_run,
};
pub use search::Filter;
pub use shown::{HeldBack, SeenFile, Shown, SightReport, WithheldFile, held_back, sight};
pub use stats::{CollectionStats, RemoteStats, StatsReport, stats};
pub use status::{StatusReport, project_status, set_project_status, shown_status, status_in};
pub use token::{TokenOptions, TokenReport, create_token, revoke_token, tokens};
pub use variant::{SearchOrder, Sense, is_known_variant};
pub use variants::{VariantsDocument, variants_of};
pub use verify::{Problem, ProblemKind, VerifyOptions, VerifyReport, verify};
pub use view::{
    DropReport, Format, TreeOptions, TreeReport, ViewOptions, ViewReport, drop_tree, verify_tree, view, view_tree,
};
pub use watch::{Watch, WatchOptions, WatchReport};

use crate::error::{Error, Result};
use crate::manifest::{CollectionRow, RemoteRow, Rows};
use crate::name::{CollectionName, RemoteName};
use crate::remote::LazyClient;

/// What every verb is told: the time, the name of whoever asks, and where to show progress.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Seconds since 1970.
    pub now: i64,
    /// Who asks, for the log.
    pub who: &'a str,
    /// How many files are worked on at a time.
    pub jobs: usize,
    /// Where progress goes.
    pub progress: &'a dyn Progress,
    /// Asks remotes; `None`: no remote is asked.
    pub client: Option<&'a LazyClient>,
}

/// Shows how far long work has come.
pub trait Progress: Sync {
    /// Starts a piece of work of so many bytes or items.
    fn start(&self, what: &str, total: u64);
    /// Adds bytes or items done.
    fn add(&self, done: u64);
    /// Ends the piece of work.
    fn finish(&self);
}

/// Shows nothing.
impl Progress for () {
    fn start(&self, _what: &str, _total: u64) {}
    fn add(&self, _done: u64) {}
    fn finish(&self) {}
}

/// Returns the collection of this name, or an error that names those that there are.
pub(crate) fn collection_row(rows: &Rows, name: &CollectionName) -> Result<CollectionRow> {
    if let Some(row) = rows.find_collection(name)? {
        return Ok(row);
    }
    let known = rows.collections()?.into_iter().map(|row| row.name.to_string()).collect();
    Err(Error::NoCollection { name: name.to_string(), known })
}

/// Returns the remote of this name, or an error that names those that there are.
pub(crate) fn remote_row(rows: &Rows, name: &RemoteName) -> Result<RemoteRow> {
    if let Some(row) = rows.find_remote(name)? {
        return Ok(row);
    }
    let known: Vec<String> = rows.remotes()?.into_iter().map(|row| row.name.to_string()).collect();
    let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
    Err(Error::NoSuch(format!("remote {name}; the remotes are: {known}")))
}

/// Returns the collections of these names, in this order; all, when none is named.
pub(crate) fn collection_rows(rows: &Rows, names: &[CollectionName]) -> Result<Vec<CollectionRow>> {
    if names.is_empty() {
        return Ok(rows.collections()?);
    }
    let is_first = |(index, name): &(usize, &CollectionName)| !names[..*index].contains(name);
    names.iter().enumerate().filter(is_first).map(|(_, name)| collection_row(rows, name)).collect()
}

/// Returns an error and its causes as one text.
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Returns a number of things in words: "1 distribution", "2 distributions".
pub(crate) fn counted(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

//! Which distributions a command is about: specifications, collections, tags.

use super::app::App;
use super::print;
use std::collections::BTreeSet;
use wcas::catalog::at::RevisionSpec;
use wcas::catalog::search::{Filter, TagFilter};
use wcas::error::{Error, Result};
use wcas::name::NameError;
use wcas::requirement::{ProjectPattern, Spec};
use wcas::wheel::{BuildTag, Target};
use wcas::{Store, ops};

/// What a wheel's tags must be.
#[derive(Debug, clap::Args)]
pub(super) struct Tags {
    /// The build tag: `2`, or with its suffix `2_el9_rocm6`
    #[arg(long, value_name = "TAG")]
    build_tag: Option<BuildTag>,
    /// Only what runs on this CPython: `3.12`, `cp312`, `3.13t`
    #[arg(long, value_name = "VERSION")]
    python: Option<String>,
    /// Only what runs on this platform: `linux_x86_64`, `manylinux_2_28_aarch64`, `macosx_14_0_arm64`, `win_amd64`
    #[arg(long, value_name = "TAG")]
    platform: Option<String>,
}

impl Tags {
    /// Tells whether any was asked for.
    pub(super) fn is_given(&self) -> bool {
        self.build_tag.is_some() || self.python.is_some() || self.platform.is_some()
    }

    /// Makes a filter of these tags.
    pub(super) fn filter(self) -> Result<TagFilter> {
        let target = Target::parse(self.python.as_deref(), self.platform.as_deref())?;
        Ok(TagFilter { build_tag: self.build_tag, target })
    }
}

/// What may be narrowed, beside the specifications.
#[derive(Debug, clap::Args)]
pub(super) struct Within {
    /// Only what this collection lists, where nothing is changed maybe at a revision or snapshot (C@41, C@release); may be given
    /// several times
    #[arg(long, value_name = "C", value_delimiter = ',')]
    collection: Vec<RevisionSpec>,
    #[command(flatten)]
    tags: Tags,
}

impl Within {
    /// Makes a filter of these and specifications, for a command that reads.
    pub(super) fn filter(self, specs: Vec<Spec>) -> Result<Filter> {
        self.filter_of(specs, Vec::new())
    }

    /// Makes one that takes what patterns name, too.
    pub(super) fn filter_of(self, specs: Vec<Spec>, patterns: Vec<ProjectPattern>) -> Result<Filter> {
        Ok(Filter { collections: self.collection, specs, patterns, tags: self.tags.filter()? })
    }

    /// Makes a filter for a command that changes what it means: of an older revision nothing can be changed.
    pub(super) fn filter_to_change(self, specs: Vec<Spec>) -> Result<Filter> {
        match self.collection.iter().find(|spec| spec.revision.is_some()) {
            Some(spec) => Err(Error::Name(NameError::Revision(spec.to_string()))),
            None => self.filter(specs),
        }
    }
}

/// Whether a change may reach into several collections that nobody named.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Everywhere {
    /// Also where it touches several collections, and none is named; without a terminal nobody is asked
    #[arg(long)]
    everywhere: bool,
}

impl Everywhere {
    /// Asks before several collections are touched of which none was named; `what` says what is about to happen to them.
    /// A specification that matches nothing is the command's own to tell.
    pub(super) fn confirm(self, app: &App, store: &Store, filter: &Filter, what: &str) -> Result<()> {
        if self.everywhere || !filter.collections.is_empty() {
            return Ok(());
        }
        for spec in &filter.specs {
            if ops::list::list(store, &Filter { specs: vec![spec.clone()], ..filter.clone() })?.is_empty() {
                return Ok(());
            }
        }
        let found = ops::list::list(store, filter)?;
        let collections: BTreeSet<&str> = found.iter().map(|row| row.collection.as_str()).collect();
        if collections.len() < 2 {
            return Ok(());
        }
        let names = collections.into_iter().collect::<Vec<_>>().join(", ");
        let count = print::count(found.len(), "distribution");
        if app.confirm(&format!("{what} {count} in {names}?")) {
            return Ok(());
        }
        Err(Error::Refused(format!("this touches {count} in {names}: name one with --collection, or say --everywhere")))
    }
}

/// Distributions that must be named.
#[derive(Debug, clap::Args)]
pub(super) struct Selection {
    /// `torch`, `torch==2.5.1`, a filename, a digest
    #[arg(required = true)]
    specs: Vec<Spec>,
    #[command(flatten)]
    within: Within,
}

impl Selection {
    /// Makes a filter, for a command that reads.
    pub(super) fn filter(self) -> Result<Filter> {
        self.within.filter(self.specs)
    }

    /// Makes a filter for a command that changes what it means.
    pub(super) fn filter_to_change(self) -> Result<Filter> {
        self.within.filter_to_change(self.specs)
    }
}

//! Which files of a remote's page may answer a question, and in which order. Pure.

use crate::catalog::rank::{Rank, is_other_variant};
use crate::catalog::wish::Wish;
use crate::index::read::{ListedFile, ListedPage};
use crate::manifest::RemoteRow;
use crate::remote::{Source, admit};
use crate::requirement::Spec;
use crate::wheel::Kind;
use std::fmt;
use std::mem::discriminant;

/// Why a file of a page that is the right project and version is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Another build tag, interpreter or platform.
    Tags,
    /// `Requires-Python` shuts the interpreter out.
    RequiresPython(String),
    /// Yanked, and not asked for by its very version.
    Yanked,
    /// Uploaded too short a time ago: so many seconds are left.
    TooYoung(i64),
    /// The remote asks for a minimum age, and the page tells no upload time.
    NoUploadTime,
    /// A source distribution; only a filename names one.
    Sdist,
    /// A variant wheel; only a filename names one.
    Variant,
    /// Nothing vouches for the bytes.
    Insecure(String),
    /// Its digest is none of those that the requirement demands.
    Digest,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tags => f.write_str("other tags than asked for"),
            Self::RequiresPython(text) => write!(f, "requires Python {text}"),
            Self::Yanked => f.write_str("yanked"),
            Self::TooYoung(left) => {
                let left = humantime::format_duration(std::time::Duration::from_secs(left.unsigned_abs()));
                write!(f, "too young: uploaded later than --min-age allows, for {left} more")
            }
            Self::NoUploadTime => f.write_str("--min-age is set and the page tells no upload time"),
            Self::Sdist => f.write_str("a source distribution, which only its filename names"),
            Self::Variant => f.write_str("a variant wheel, which only its filename names"),
            Self::Insecure(reason) => f.write_str(reason),
            Self::Digest => f.write_str("its digest is none of those that the requirement demands"),
        }
    }
}

/// What is looked for on a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileQuery<'a> {
    pub(crate) wish: &'a Wish,
    pub(crate) now: i64,
}

impl FileQuery<'_> {
    /// Tells whether a file is meant at all, whatever speaks against it.
    pub(crate) fn means(&self, file: &ListedFile) -> bool {
        match &self.wish.spec {
            spec @ Spec::Project { .. } => spec.matches(file.name.project(), file.name.version()),
            Spec::Filename(filename) => filename == file.name.as_str(),
            Spec::Digest(digest) => file.sha256.is_some() && digest.sha256() == file.sha256,
        }
    }

    /// Judges a file that is meant.
    pub(crate) fn judge(&self, remote: &RemoteRow, source: &Source, file: &ListedFile) -> Result<Rank, Unfit> {
        if let Err(failure) = admit(source, file) {
            return Err(Unfit::Insecure(failure.to_string()));
        }
        if !self.wish.takes(file.sha256) {
            return Err(Unfit::Digest);
        }
        if file.name.kind() == Kind::Sdist && matches!(self.wish.spec, Spec::Project { .. }) {
            return Err(Unfit::Sdist);
        }
        if is_other_variant(&self.wish.spec, &file.name) {
            return Err(Unfit::Variant);
        }
        if !self.wish.tags.fits(&file.name) {
            return Err(Unfit::Tags);
        }
        if !self.wish.admits(file.requires_python.as_deref()) {
            return Err(Unfit::RequiresPython(file.requires_python.clone().unwrap_or_default()));
        }
        if let Some(age) = remote.settings.min_age {
            let uploaded = file.uploaded_at.ok_or(Unfit::NoUploadTime)?;
            let left = uploaded.saturating_add(age).saturating_sub(self.now);
            if left > 0 {
                return Err(Unfit::TooYoung(left));
            }
        }
        self.wish.rank(&file.name, file.yanked.is_some()).ok_or(Unfit::Yanked)
    }

    /// Returns the files that may answer, the best first, and those that are meant and may not.
    pub(crate) fn choose<'p>(
        &self,
        remote: &RemoteRow,
        source: &Source,
        page: &'p ListedPage,
    ) -> (Vec<&'p ListedFile>, Vec<(&'p ListedFile, Unfit)>) {
        let (mut good, mut unfit) = (Vec::new(), Vec::new());
        for file in page.files.iter().filter(|file| self.means(file)) {
            match self.judge(remote, source, file) {
                Ok(rank) => good.push((rank, file)),
                Err(reason) => unfit.push((file, reason)),
            }
        }
        good.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.name.as_str().cmp(other.name.as_str())));
        (good.into_iter().map(|(_, file)| file).collect(), unfit)
    }
}

/// Says why a page gives nothing: each kind of reason once, with the first of the files that it is about.
pub(crate) fn complaints(unfit: &[(&ListedFile, Unfit)]) -> Vec<String> {
    let mut kinds: Vec<(&ListedFile, &Unfit, usize)> = Vec::new();
    for (file, why) in unfit {
        match kinds.iter_mut().find(|(_, known, _)| discriminant(*known) == discriminant(why)) {
            Some((_, _, count)) => *count += 1,
            None => kinds.push((file, why, 0)),
        }
    }
    let line = |(file, why, more): (&ListedFile, &Unfit, usize)| match more {
        0 => format!("{}: {why}", file.name.as_str()),
        more => format!("{}: {why} (and {more} more)", file.name.as_str()),
    };
    kinds.into_iter().map(line).collect()
}

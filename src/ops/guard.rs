//! The guard: a collection admits a wheel only if it isn't bound to an accelerator that the collection doesn't take.
//!
//! A quick look comes with every import. A deep one, which inflates each binary member, is taken only when a guard or a route asks a
//! question that the quick one can't answer; its result is kept, so a blob is read whole once.

use super::{Context, parallel, reason};
use crate::error::Result;
use crate::manifest::{BlobId, Guard, InspectionRow};
use crate::store::Store;
use crate::wheel::accelerator::{self, Accelerator, ENGINE, Finding, Inspection, Strength};
use crate::wheel::{self, DistributionFilename};
use std::path::PathBuf;

/// A blob to be judged.
#[derive(Debug, Clone)]
pub(super) struct Subject<'a> {
    pub(super) blob: BlobId,
    pub(super) path: PathBuf,
    pub(super) name: &'a DistributionFilename,
}

/// Returns why a guard doesn't admit a wheel; `None` where nothing that is known speaks against it.
pub(super) fn objection(guard: &Guard, inspection: &Inspection) -> Option<String> {
    let admitted = guard.accelerators.as_ref()?;
    let least = if guard.is_strict { Strength::Carries } else { Strength::Requires };
    let is_foreign = |finding: &&Finding| finding.strength >= least && !admitted.contains(&finding.accelerator);
    // The strongest speaks: what the wheel is, before what it needs.
    let finding = inspection.findings.iter().filter(is_foreign).max_by_key(|finding| finding.strength)?;
    let word = match finding.strength {
        Strength::Is => "is a library of",
        Strength::Requires => "requires",
        _ => "carries code for",
    };
    let place = finding.member.as_ref().map(|member| format!("{member}: ")).unwrap_or_default();
    let takes = match admitted.as_slice() {
        [] => "no accelerator".to_owned(),
        some => format!("only {}", some.iter().map(|own| own.as_str()).collect::<Vec<_>>().join(", ")),
    };
    Some(format!("it {word} {} ({place}{}), and the collection takes {takes}", finding.accelerator, finding.evidence))
}

/// Tells whether a guard's answer may change with a deeper look.
pub(super) fn is_open(guard: &Guard, inspection: &Inspection) -> bool {
    guard.accelerators.is_some() && !inspection.is_conclusive() && objection(guard, inspection).is_none()
}

/// Returns what is kept about a blob by today's rules.
pub(super) fn known(store: &Store, blob: BlobId) -> Result<Option<Inspection>> {
    let row = store.manifest.inspection(blob)?.filter(|row| row.engine == ENGINE);
    Ok(row.and_then(|row| serde_json::from_str(&row.report).ok()))
}

/// Makes a row of an inspection.
pub(super) fn row(inspection: &Inspection) -> InspectionRow {
    let report = serde_json::to_string(inspection).expect("plain values become JSON");
    InspectionRow { engine: ENGINE, is_deep: inspection.is_deep, report }
}

/// Looks into blobs, deeply or not, as many at a time as there are jobs, and keeps what is found.
pub(super) fn inspect(
    store: &Store,
    context: &Context<'_>,
    subjects: &[Subject<'_>],
    is_deep: bool,
) -> Result<Vec<Inspection>> {
    let look = |subject: &Subject<'_>| {
        let found = look(subject, is_deep);
        context.progress.add(1);
        found
    };
    context.progress.start("inspecting", subjects.len() as u64);
    let found = parallel::map(context.jobs, subjects, look);
    context.progress.finish();
    let transaction = store.manifest.write()?;
    let mut inspections = Vec::with_capacity(found.len());
    for (subject, found) in subjects.iter().zip(found) {
        inspections.push(match found {
            Ok(inspection) => {
                transaction.put_inspection(subject.blob, &row(&inspection))?;
                inspection
            }
            // Not kept: the bytes may be lost, and come back.
            Err(problem) => Inspection { unread: 1, problems: vec![problem], ..Inspection::default() },
        });
    }
    transaction.commit()?;
    Ok(inspections)
}

/// Looks into one blob; the error is what a person reads.
fn look(subject: &Subject<'_>, is_deep: bool) -> std::result::Result<Inspection, String> {
    let file = crate::fs::open(&subject.path).map_err(|error| reason(&error))?;
    let contents = wheel::read(&file, subject.name).map_err(|error| reason(&error))?;
    let look = if is_deep { accelerator::deep } else { accelerator::quick };
    look(&file, subject.name, contents.metadata.as_deref()).map_err(|error| reason(&error))
}

/// Returns accelerators each once, in the order of reports.
pub(super) fn in_order(mut accelerators: Vec<Accelerator>) -> Vec<Accelerator> {
    accelerators.sort_unstable();
    accelerators.dedup();
    accelerators
}

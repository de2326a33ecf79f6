//! The guard: a collection admits a wheel only if it isn't bound to an accelerator that the collection doesn't take.
//!
//! A quick look comes with every import. A deep one, which inflates each binary member, is taken only when a guard or a route asks a
//! question that the quick one can't answer; its result is kept, so a blob is read whole once.

use crate::error::Result;
use crate::manifest::{BlobId, Guard, Rows};
use crate::wheel::accelerator::{Accelerator, ENGINE, Finding, Inspection, Strength};

/// Returns why a guard doesn't admit a wheel; `None` where nothing that is known speaks against it. One that goes beyond the budgets of a
/// deep look is taken for the worst.
pub(crate) fn objection(guard: &Guard, inspection: &Inspection) -> Option<String> {
    let admitted = guard.accelerators.as_ref()?;
    let least = if guard.is_strict { Strength::Carries } else { Strength::Requires };
    let is_foreign = |finding: &&Finding| finding.strength >= least && !admitted.contains(&finding.accelerator);
    // The strongest speaks: what the wheel is, before what it needs.
    let finding = inspection.findings.iter().filter(is_foreign).max_by_key(|finding| finding.strength);
    // Else whatever is to be hidden would be put behind enough of something else.
    let unknown = || Some(format!("it can't be looked into: {}", inspection.exceeded.first()?));
    let Some(finding) = finding else { return unknown() };
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
pub(crate) fn is_open(guard: &Guard, inspection: &Inspection) -> bool {
    guard.accelerators.is_some() && !inspection.is_conclusive() && objection(guard, inspection).is_none()
}

/// Tells whether a wheel that may run anywhere was looked into, and has nothing of an accelerator.
pub(crate) fn is_pure(inspection: &Inspection) -> bool {
    let is_free = inspection.strengths().iter().all(|(_, strength)| *strength < Strength::Carries);
    is_free && inspection.is_conclusive() && inspection.problems.is_empty()
}

/// Returns what is kept about a blob by today's rules.
pub(crate) fn known(rows: &Rows, blob: BlobId) -> Result<Option<Inspection>> {
    let row = rows.inspection(blob)?.filter(|row| row.engine == ENGINE);
    Ok(row.and_then(|row| serde_json::from_str(&row.report).ok()))
}

/// Returns accelerators each once, in the order of reports.
pub(crate) fn in_order(mut accelerators: Vec<Accelerator>) -> Vec<Accelerator> {
    accelerators.sort_unstable();
    accelerators.dedup();
    accelerators
}

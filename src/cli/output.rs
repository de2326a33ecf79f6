//! Options that every command has for how its answer is shown.

use super::look::When;

/// How answers are shown.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Output {
    /// Use colours [default: on a terminal]; NO_COLOR, CLICOLOR and CLICOLOR_FORCE are heard, too
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        hide_possible_values = true,
        default_value_t,
        hide_default_value = true
    )]
    pub(super) color: When,
    /// Print long answers at once, not by $WCAS_PAGER, $PAGER or less
    #[arg(long, global = true)]
    pub(super) no_pager: bool,
}

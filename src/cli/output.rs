//! Options that every command has for how its answer is shown.

use super::look::When;
use super::progress::Telling;

/// How answers are shown.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Output {
    /// Use colours: auto, on a terminal, unless NO_COLOR, CLICOLOR or CLICOLOR_FORCE says otherwise
    #[arg(long, global = true, value_enum, value_name = "auto|always|never", hide_possible_values = true)]
    #[arg(default_value_t, hide_default_value = true)]
    pub(super) color: When,
    /// Print long answers at once, not by $WCAS_PAGER, $PAGER or less
    #[arg(long, global = true)]
    pub(super) no_pager: bool,
    /// Tell how far long work has come: auto, on a terminal and with --verbose; json, a document a line on standard error
    #[arg(long, global = true, value_enum, value_name = "auto|never|json", hide_possible_values = true)]
    #[arg(default_value_t, hide_default_value = true)]
    pub(super) progress: Telling,
}

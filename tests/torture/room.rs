//! Disks without room, for bytes or for names × each command.
//!
//! Readers read, writers say what frees room, nothing is half-made; `gc` works, and with room again the command does.

use crate::commands::{ALL, Command, Does};
use crate::lab::{Faults, Lab, Random, clear};
use crate::share::Share;
use crate::support::{Fill, SmallDisk};
use std::time::Duration;

/// How many cells on each disk a plain `cargo test` tries at most.
const USUAL: usize = 30;

/// Has a few MiB and a few hundred names more than the lab needs.
fn disk(lab: &Lab, number: usize) -> Option<SmallDisk> {
    let (work, image) = (lab.work(), lab.outside("image"));
    if number == 0 {
        SmallDisk::mount(&work, "size=16m,nr_inodes=600")
    } else {
        SmallDisk::mount_ext4(&work, &image, 20, 600)
    }
}

fn cell(lab: &Lab, disk: &SmallDisk, with: Fill, command: Command, faults: &Faults) {
    let fault = |what: String| faults.note(format!("{with:?} × {}: {what}", command.line));
    clear(disk.path());
    lab.renew();
    disk.fill(with);
    let ran = lab.run(&command.args());
    // Pages may have links to make, whose names have no room.
    let is_page = command.line.starts_with("view") && ran.code == 1;
    let is_fine = match command.does {
        // Marks that can't be written are told.
        Does::Read | Does::Nothing => ran.code == command.code || ran.code == 3 || is_page,
        Does::Write | Does::Free => matches!(ran.code, 0..=5),
    };
    if !is_fine || ran.stderr.contains("panicked") {
        fault(format!("{ran}"));
    }
    let is_of_the_store = !command.line.starts_with("run ");
    if ran.code == 1 && command.code != 1 && is_of_the_store && !ran.stderr.contains("`wcas gc`") {
        fault(format!("doesn't say what frees room: {ran}"));
    }
    let gc = lab.run(&["--json", "gc", "--grace", "0"]);
    // That no room is set aside for the next time is told.
    if !matches!(gc.code, 0 | 3) {
        fault(format!("then gc: {gc}"));
    }
    disk.unfill();
    let again = lab.run(&command.args());
    let is_done_before = ran.code == 0 && matches!(again.code, 0..=4);
    // gc has taken what could have been brought back.
    if again.code != command.code && !is_done_before && command.line != "undo" {
        fault(format!("then, with room again: {again}, before: {ran}"));
    }
    for line in ["verify", "doctor", "list"] {
        let ran = lab.run(&[line]);
        if ran.code != 0 {
            fault(format!("at the end {line}: {ran}"));
        }
    }
    // A rebuild by hand keeps all that it finds, too.
    if !lab.lost().is_empty() && !command.line.starts_with("collection delete") {
        fault(format!("lost {:?}", lab.lost()));
    }
}

#[test]
fn without_room_each_command_ends_well_and_gc_makes_some() {
    let share = Share::start(Duration::from_secs(8));
    let mut random = Random::new("room");
    let lab = Lab::new();
    let mut cells: Vec<_> =
        ALL.iter().flat_map(|command| [Fill::Bytes, Fill::Names].map(|with| (with, *command))).collect();
    let (faults, mut tried) = (Faults::default(), 0);
    for number in 0..2 {
        random.shuffle(&mut cells);
        clear(&lab.work());
        let Some(disk) = disk(&lab, number) else { continue };
        // Half the time for each disk.
        let part = if number == 0 { share.half() } else { share };
        for (at, (with, command)) in cells.iter().enumerate() {
            if !part.goes_on(at, USUAL) {
                break;
            }
            cell(&lab, &disk, *with, *command, &faults);
            tried += 1;
        }
    }
    faults.none(tried);
}

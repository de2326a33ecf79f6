//! Counts the memory that a thread holds: what one input takes is measured in bytes, which no other work on the machine changes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
    static MOST: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, counted for each thread. What a thread frees that another made counts for the one that frees it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "there is no other way to be an allocator; all is passed on to the system's")]
// SAFETY: every method hands its arguments to the system's allocator as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        unsafe { System.realloc(start, layout, size) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        unsafe { System.dealloc(start, layout) }
    }
}

fn count(bytes: i64) {
    HELD.with(|held| {
        held.set(held.get() + bytes);
        MOST.with(|most| most.set(most.get().max(held.get())));
    });
}

/// Returns the most memory that this thread held while it did something, beyond what it held before, in bytes.
pub(crate) fn most_held(work: impl FnOnce()) -> u64 {
    let before = HELD.with(Cell::get);
    MOST.with(|most| most.set(before));
    work();
    u64::try_from(MOST.with(Cell::get) - before).unwrap_or(0)
}

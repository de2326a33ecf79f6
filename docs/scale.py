#!/usr/bin/env python3
"""Simulates a thousand builders that commit to one log, for what can't be run on one machine.

    python3 docs/scale.py            the tables of docs/scale.md
    python3 docs/scale.py --get 5 --put 15 --builders 1000 --every 60

A node reads what others committed, sixteen records at a time once there are many, and then commits the next one: in a bucket by a
conditional put, which fails where another was faster, and is tried again after a pause that grows; in PostgreSQL who was overtaken waits
for its turn. A request takes seven tenths of the mean that is said, and an exponential rest. The seed is fixed: the same figures each time.
"""

import argparse
import heapq
import random

TRIES = 20  # store/shared.rs
AHEAD = 16  # share/ahead.rs; PostgreSQL gives 100 and more with one query
APPLY_MS = 1.0  # one small record
COMMITS = 2  # of an import: its files, and its entries


class Log:
    def __init__(self, options, clock, rng):
        self.options, self.clock, self.rng = options, clock, rng
        self.head = 0
        self.free_at = 0.0  # when the turn in the database ends

    def get(self):
        return self.lasting(self.options.get)

    def put(self):
        return self.lasting(self.options.put)

    def lasting(self, mean):
        return 0.7 * mean + self.rng.expovariate(1 / (0.3 * mean))


def catch_up(log, known):
    """Yields the time that it takes until nothing new is found; returns what is known then."""
    while True:
        behind = log.head - known
        if behind == 0:
            yield log.get()
            if log.head == known:
                return known
            continue
        ahead = AHEAD if not log.options.database else 200
        known, asked = log.head, 2 + -(-max(0, behind - 2) // ahead) if behind > 2 else behind
        yield sum(log.get() for _ in range(asked)) + behind * APPLY_MS


def commit_to_bucket(log, known, seen):
    for tried in range(1, TRIES + 1):
        known = yield from catch_up(log, known)
        yield log.put()
        if log.head == known:
            log.head += 1
            seen.append(tried)
            return known + 1
        yield log.rng.uniform(1, 10 * 2 ** min(tried, 7))
    seen.append(TRIES + 1)
    return known


def commit_to_database(log, known, seen):
    known = yield from catch_up(log, known)
    # The turn: from a last look at the log to the commit.
    now = log.clock[0]
    hold = log.get() + log.put()
    begin = max(now, log.free_at)
    log.free_at = begin + hold
    yield begin - now + hold
    known = max(known, log.head)
    log.head += 1
    seen.append(1)
    return known + 1


def builder(log, waits, seen):
    options, clock = log.options, log.clock
    known = 0
    commit = commit_to_database if options.database else commit_to_bucket
    every = options.every * 1000
    yield log.rng.uniform(0, every)
    known = log.head if options.warm else 0
    while True:
        begun = clock[0]
        for _ in range(COMMITS):
            known = yield from commit(log, known, seen)
        waits.append(clock[0] - begun)
        yield log.rng.expovariate(1 / every)


def simulate(options):
    rng, clock = random.Random(options.seed), [0.0]
    log = Log(options, clock, rng)
    waits, seen, queue = [], [], []
    for number in range(options.builders):
        run = builder(log, waits, seen)
        heapq.heappush(queue, (next(run), number, run))
    end = options.minutes * 60_000
    while queue and queue[0][0] < end:
        clock[0], number, run = heapq.heappop(queue)
        heapq.heappush(queue, (clock[0] + next(run), number, run))
    waits.sort()
    seen.sort()
    part = lambda values, share: values[int(share * (len(values) - 1))] if values else float("nan")
    return {
        "wanted": COMMITS * options.builders / options.every,
        "commits": sum(tries <= TRIES for tries in seen) / (options.minutes * 60),
        "wait50": part(waits, 0.5) / 1000,
        "wait99": part(waits, 0.99) / 1000,
        "tries": sum(seen) / max(1, len(seen)),
        "busy": sum(tries > TRIES for tries in seen) / max(1, len(seen)),
    }


def row(name, found):
    print(
        f"| {name} | {found['wanted']:.1f} | {found['commits']:.1f} | {found['wait50']:.1f} s | {found['wait99']:.1f} s "
        f"| {found['tries']:.1f} | {found['busy']:.1%} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--builders", type=int, default=1000)
    parser.add_argument("--every", type=float, help="seconds between a builder's imports")
    parser.add_argument("--get", type=float, default=20, help="milliseconds")
    parser.add_argument("--put", type=float, default=40, help="milliseconds")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--database", action="store_true", help="the log is in PostgreSQL")
    parser.add_argument("--cold", dest="warm", action="store_false", help="builders begin with the first record")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("| log, an import of each builder every | commits wanted a second | done | half wait | 1 % waits | tries | busy (exit 5) |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    if options.every:
        row(f"{'PostgreSQL' if options.database else 'bucket'}, {options.every:g} s", simulate(options))
        return
    for database, get, put in ((False, 20, 40), (True, 1, 4)):
        for every in (3600, 600, 300, 120, 60, 20):
            options.database, options.get, options.put, options.every = database, get, put, every
            name = f"{'PostgreSQL' if database else 'bucket'}, {every} s"
            row(name, simulate(options))


if __name__ == "__main__":
    main()

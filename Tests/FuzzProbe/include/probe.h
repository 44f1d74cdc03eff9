#ifndef TALLY_FUZZ_PROBE_H
#define TALLY_FUZZ_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What one thread asked of the heap between begin and end.
struct probe_memory {
    /// The most bytes held at a time, beyond those held at the beginning.
    int64_t peak;
    /// The largest single request.
    int64_t largest;
};

void probe_begin(void);
struct probe_memory probe_end(void);

/// Whether this program counts which of its branches are reached.
bool probe_counts(void);
/// How many of its counters are not zero.
size_t probe_reached(void);
/// Zeroes all counters: what was reached before parsing does not count.
void probe_forget(void);

#endif

// Watches a parser from inside its process: what it asks of the heap, and which counters of an
// instrumented build it reaches. The functions of the heap stand before those of the C library, so
// that what Swift, Foundation and libyaml ask for is counted alike.
#include "probe.h"

#include <errno.h>
#include <malloc.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static __thread struct {
    bool active;
    int64_t live;
    struct probe_memory memory;
} probe __attribute__((tls_model("initial-exec")));

static void ask(size_t size) {
    if (probe.active && (int64_t)size > probe.memory.largest) {
        probe.memory.largest = size > INT64_MAX ? INT64_MAX : (int64_t)size;
    }
}

static void take(void *pointer) {
    if (!probe.active || pointer == NULL) return;
    probe.live += (int64_t)malloc_usable_size(pointer);
    if (probe.live > probe.memory.peak) probe.memory.peak = probe.live;
}

static void give(void *pointer) {
    if (probe.active && pointer != NULL) probe.live -= (int64_t)malloc_usable_size(pointer);
}

void *malloc(size_t size) {
    ask(size);
    void *pointer = __libc_malloc(size);
    take(pointer);
    return pointer;
}

void *calloc(size_t count, size_t size) {
    size_t bytes;
    ask(__builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes);
    void *pointer = __libc_calloc(count, size);
    take(pointer);
    return pointer;
}

void *realloc(void *old, size_t size) {
    ask(size);
    int64_t before = probe.active && old != NULL ? (int64_t)malloc_usable_size(old) : 0;
    void *pointer = __libc_realloc(old, size);
    if (pointer != NULL || size == 0) {
        probe.live -= before;
        take(pointer);
    }
    return pointer;
}

void *memalign(size_t alignment, size_t size) {
    ask(size);
    void *pointer = __libc_memalign(alignment, size);
    take(pointer);
    return pointer;
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) return EINVAL;
    void *pointer = memalign(alignment, size);
    if (pointer == NULL) return ENOMEM;
    *result = pointer;
    return 0;
}

void free(void *pointer) {
    give(pointer);
    __libc_free(pointer);
}

void probe_begin(void) {
    probe.live = 0;
    probe.memory.peak = 0;
    probe.memory.largest = 0;
    probe.active = true;
}

struct probe_memory probe_end(void) {
    probe.active = false;
    return probe.memory;
}

// There in a build with `-profile-generate` alone.
extern uint64_t *__llvm_profile_begin_counters(void) __attribute__((weak));
extern uint64_t *__llvm_profile_end_counters(void) __attribute__((weak));
extern void __llvm_profile_reset_counters(void) __attribute__((weak));

bool probe_counts(void) { return __llvm_profile_begin_counters != NULL; }

size_t probe_reached(void) {
    if (!probe_counts()) return 0;
    size_t reached = 0;
    const uint64_t *end = __llvm_profile_end_counters();
    for (const uint64_t *counter = __llvm_profile_begin_counters(); counter < end; counter++) {
        reached += *counter != 0;
    }
    return reached;
}

void probe_forget(void) {
    if (probe_counts()) __llvm_profile_reset_counters();
}

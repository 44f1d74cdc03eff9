// Kills a worker, or lets one of its calls fail, at an exact point of its work on the disk.
//
// Loaded with LD_PRELOAD, it stands before the calls that change files and before sqlite3_step, and
// counts those that concern one home. A plan in the environment names a point and what happens
// there. Nothing in the product knows of it.
//
//   TALLY_FAULTS_HOME   the folder of the node, an absolute path
//   TALLY_FAULTS_LOG    a file: one line for each call, "number phase operation path"; a line
//                       "fault ..." when the point is reached, written before anything happens;
//                       and "vote HEX" for each vote whose transaction was committed, written
//                       before the worker learns of it, so before the vote can leave
//   TALLY_FAULTS_PHASE  any, commit, upload, vote, apply, close
//   TALLY_FAULTS_POINT  any, call, row, write, sync, rename
//   TALLY_FAULTS_AT     which of the points that match, from 1; 0 only counts
//   TALLY_FAULTS_HOW    before, half, after (SIGKILL), lose, tear (SIGKILL, and what was not
//                       synchronised is lost, or half of it), or an errno as a number
//
// The phase follows from the file, and in the ledger from the rows of the open transaction:
//   commit  an accepted envelope (at a site: one that it hands in) or a proposal becomes durable
//   upload  a blob is written, synchronised or named, whole or in pieces
//   apply   rows of a settled block and its state, or pages folded into ledger.sqlite
//   vote    a vote with the block it is for, up to the end of its commit
//   close   a transaction that pays out a round, from its first posting to the end of its commit
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum phase { OTHER, COMMIT, UPLOAD, VOTE, APPLY, CLOSE };
static const char *const phase_names[] = {"other", "commit", "upload", "vote", "apply", "close"};
enum point { ROW, WRITE, SYNC, RENAME };
static const char *const point_names[] = {"row", "write", "sync", "rename"};
enum how { NOTHING, BEFORE, HALF, AFTER, LOSE, TEAR, FAIL };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_on;
static char home[PATH_MAX];
static size_t home_length;
static int log_descriptor = -1;
static char wanted_phase[16], wanted_point[16];
static long wanted_at, matched, number;
static enum how wanted_how;
static int wanted_error;

// The phase of the ledger's transaction that this thread has open, and the vote in it.
static __thread enum phase transaction;
static __thread char vote[2048];

__attribute__((constructor)) static void prepare(void) {
    const char *folder = getenv("TALLY_FAULTS_HOME");
    const char *log = getenv("TALLY_FAULTS_LOG");
    if (!folder || !log || strlen(folder) >= sizeof home) return;
    home_length = strlen(strcpy(home, folder));
    log_descriptor = (int)syscall(
        SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const char *phase = getenv("TALLY_FAULTS_PHASE"), *point = getenv("TALLY_FAULTS_POINT");
    snprintf(wanted_phase, sizeof wanted_phase, "%s", phase ? phase : "any");
    snprintf(wanted_point, sizeof wanted_point, "%s", point ? point : "any");
    const char *at = getenv("TALLY_FAULTS_AT"), *how = getenv("TALLY_FAULTS_HOW");
    wanted_at = at ? atol(at) : 0;
    static const char *const names[] = {"nothing", "before", "half", "after", "lose", "tear"};
    wanted_error = how ? atoi(how) : 0;
    if (wanted_error) wanted_how = FAIL;
    for (int i = 0; how && i < 6; i++)
        if (!strcmp(how, names[i])) wanted_how = (enum how)i;
    is_on = log_descriptor >= 0;
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...) {
    char line[PATH_MAX + 64];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line) length = sizeof line;
    syscall(SYS_write, log_descriptor, line, length);
}

// MARK: What is not on the disk yet

// Newest first. A change can be undone until the file, or for a name the folder, is synchronised.
struct change {
    struct change *older;
    char *path, *former; // `former` is a renamed file's old path
    off_t offset, size;  // the size of the file before
    size_t count;
    unsigned char bytes[];
};
static struct change *changes;

static bool keeps_changes(void) { return wanted_how == LOSE || wanted_how == TEAR; }

static void remember(const char *path, const char *former, off_t offset, size_t count) {
    if (!keeps_changes()) return;
    struct change *change = calloc(1, sizeof *change + count);
    if (!change) return;
    change->path = strdup(path);
    change->former = former ? strdup(former) : NULL;
    change->offset = offset;
    if (!former) {
        int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        struct stat status;
        if (file >= 0 && fstat(file, &status) == 0) change->size = status.st_size;
        while (file >= 0 && change->count < count) {
            long part = syscall(
                SYS_pread64, file, change->bytes + change->count, count - change->count,
                offset + (off_t)change->count);
            if (part <= 0) break;
            change->count += (size_t)part;
        }
        if (file >= 0) syscall(SYS_close, file);
    }
    change->older = changes;
    changes = change;
}

static bool is_in_folder(const char *path, const char *folder) {
    const char *slash = strrchr(path, '/');
    size_t length = strlen(folder);
    return slash && (size_t)(slash - path) == length && !strncmp(path, folder, length);
}

static void forget_synchronised(const char *path) {
    for (struct change **place = &changes; *place;) {
        struct change *change = *place;
        bool is_safe = change->former ? is_in_folder(change->path, path)
                                      : !strcmp(change->path, path);
        if (!is_safe) {
            place = &change->older;
            continue;
        }
        *place = change->older;
        free(change->path);
        free(change->former);
        free(change);
    }
}

static void follow_rename(const char *from, const char *to) {
    if (!keeps_changes()) return;
    for (struct change *change = changes; change; change = change->older) {
        if (change->former || strcmp(change->path, from)) continue;
        free(change->path);
        change->path = strdup(to);
    }
}

// A thread that reads a mapped file which has just become shorter waits for the SIGKILL: with the
// power gone it would not have run at all, and must not end the process by a signal of its own.
static void wait_for_end(int signal) {
    (void)signal;
    for (;;) pause();
}

static void lose_changes(bool all) {
    signal(SIGBUS, wait_for_end);
    unsigned seed = (unsigned)wanted_at;
    for (struct change *change = changes; change; change = change->older) {
        if (!all && rand_r(&seed) % 2) continue;
        if (change->former) {
            syscall(SYS_renameat2, AT_FDCWD, change->path, AT_FDCWD, change->former, 0);
            continue;
        }
        int file = (int)syscall(SYS_openat, AT_FDCWD, change->path, O_WRONLY | O_CLOEXEC, 0);
        if (file < 0) continue;
        syscall(SYS_pwrite64, file, change->bytes, change->count, change->offset);
        syscall(SYS_ftruncate, file, change->size);
        syscall(SYS_close, file);
    }
}

// MARK: Points

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

// Counts a point, and says what is to happen there. With the lock held.
static enum how arrive(enum point point, enum phase phase, const char *path) {
    if (point != ROW) note("%ld %s %s %s\n", ++number, phase_names[phase], point_names[point], path);
    bool is_phase = !strcmp(wanted_phase, "any") || !strcmp(wanted_phase, phase_names[phase]);
    bool is_point = !strcmp(wanted_point, "any") || !strcmp(wanted_point, point_names[point])
        || (!strcmp(wanted_point, "call") && point != ROW);
    if (!is_phase || !is_point || wanted_at == 0 || ++matched != wanted_at) return NOTHING;
    note("fault %ld %s %s %s\n", number, phase_names[phase], point_names[point], path);
    return wanted_how;
}

// What happens before a call. With the lock held; returns whether the call is to fail.
static bool begin(enum how how) {
    if (how == LOSE || how == TEAR) lose_changes(how == LOSE);
    if (how == BEFORE || how == LOSE || how == TEAR) die();
    if (how == FAIL) errno = wanted_error;
    return how == FAIL;
}

static enum phase phase_of(const char *path) {
    if (strstr(path, "/blobs")) return UPLOAD;
    size_t length = strlen(path);
    if (length > 13 && !strcmp(path + length - 13, "ledger.sqlite")) return APPLY;
    return strstr(path, "/ledger.sqlite") ? transaction : OTHER;
}

static bool is_ours(const char *path) {
    return is_on && !strncmp(path, home, home_length)
        && (path[home_length] == '/' || path[home_length] == 0);
}

static bool path_of(int descriptor, char *path) {
    if (!is_on || descriptor == log_descriptor) return false;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    return is_ours(path);
}

static ssize_t write_at(int descriptor, const void *bytes, size_t count, off_t offset) {
    if (offset < 0) return syscall(SYS_write, descriptor, bytes, count);
    return syscall(SYS_pwrite64, descriptor, bytes, count, offset);
}

static ssize_t change(int descriptor, const void *bytes, size_t count, off_t offset) {
    char path[PATH_MAX];
    if (!path_of(descriptor, path)) return write_at(descriptor, bytes, count, offset);
    pthread_mutex_lock(&lock);
    enum how how = arrive(WRITE, phase_of(path), path);
    ssize_t result = -1;
    if (!begin(how)) {
        off_t place = offset < 0 ? (off_t)syscall(SYS_lseek, descriptor, 0, SEEK_CUR) : offset;
        remember(path, NULL, place, count);
        result = write_at(descriptor, bytes, how == HALF ? count / 2 : count, offset);
        if (how == HALF || how == AFTER) die();
    }
    pthread_mutex_unlock(&lock);
    return result;
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
    return change(descriptor, bytes, count, -1);
}
ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    return change(descriptor, bytes, count, offset);
}
ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) {
    return change(descriptor, bytes, count, offset);
}

static int resize(int descriptor, off_t size) {
    char path[PATH_MAX];
    if (!path_of(descriptor, path)) return (int)syscall(SYS_ftruncate, descriptor, size);
    pthread_mutex_lock(&lock);
    enum how how = arrive(WRITE, phase_of(path), path);
    int result = -1;
    if (!begin(how)) {
        struct stat status = {0};
        fstat(descriptor, &status);
        remember(path, NULL, size, status.st_size > size ? (size_t)(status.st_size - size) : 0);
        result = (int)syscall(SYS_ftruncate, descriptor, size);
        if (how == HALF || how == AFTER) die();
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int descriptor, off_t size) { return resize(descriptor, size); }
int ftruncate64(int descriptor, off64_t size) { return resize(descriptor, size); }

// SQLite synchronises the folder of a new log itself and passes over the failure, by its design. The
// product must have done so before, with a call of its own: that one is a point, SQLite's is not.
static bool is_passed_over(const void *caller, int descriptor) {
    struct stat status;
    Dl_info library;
    return fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)
        && dladdr(caller, &library) && strstr(library.dli_fname, "libsqlite3");
}

static int synchronise(int descriptor, long call, const void *caller) {
    char path[PATH_MAX];
    if (!path_of(descriptor, path)) return (int)syscall(call, descriptor);
    if (is_passed_over(caller, descriptor)) return (int)syscall(call, descriptor);
    pthread_mutex_lock(&lock);
    enum how how = arrive(SYNC, phase_of(path), path);
    int result = -1;
    if (!begin(how)) {
        result = (int)syscall(call, descriptor);
        forget_synchronised(path);
        if (how == HALF || how == AFTER) die();
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int descriptor) {
    return synchronise(descriptor, SYS_fsync, __builtin_return_address(0));
}
int fdatasync(int descriptor) {
    return synchronise(descriptor, SYS_fdatasync, __builtin_return_address(0));
}

int rename(const char *from, const char *to) {
    if (!is_ours(to)) return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    pthread_mutex_lock(&lock);
    enum how how = arrive(RENAME, phase_of(to), to);
    int result = -1;
    if (!begin(how)) {
        bool replaces = access(to, F_OK) == 0;
        result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
        if (result == 0) {
            follow_rename(from, to);
            if (!replaces) remember(to, from, 0, 0);
        }
        if (how == HALF || how == AFTER) die();
    }
    pthread_mutex_unlock(&lock);
    return result;
}

// MARK: Rows of the ledger

static bool begins(const char *text, const char *words) {
    return !strncasecmp(text, words, strlen(words));
}

// A statement with its values, or NULL; `release` frees it.
static void (*release)(void *);
static char *text_of(void *statement) {
    static char *(*expanded)(void *);
    if (!expanded) {
        release = (void (*)(void *))dlsym(RTLD_DEFAULT, "sqlite3_free");
        expanded = (char *(*)(void *))dlsym(RTLD_DEFAULT, "sqlite3_expanded_sql");
    }
    return expanded && release ? expanded(statement) : NULL;
}

static void keep_vote(void *statement) {
    char *text = text_of(statement), *hex = text ? strstr(text, "x'") : NULL;
    if (hex) snprintf(vote, sizeof vote, "%.*s", (int)strcspn(hex + 2, "'"), hex + 2);
    if (text) release(text);
}

// The phase that a statement's table tells; -1 for one that tells none.
static int phase_of_row(void *statement, const char *sql) {
    if (begins(sql, "INSERT INTO postings") && transaction != CLOSE) {
        char *text = text_of(statement);
        bool pays_out = text && strstr(text, "'split/1'");
        if (text) release(text);
        return pays_out ? CLOSE : APPLY;
    }
    // Also a block that a new term drops gives its envelopes back to this table.
    if (begins(sql, "INSERT INTO accepted")) return transaction == OTHER ? COMMIT : (int)transaction;
    static const struct { const char *words; enum phase phase; } tables[] = {
        {"INSERT OR IGNORE INTO proposals", COMMIT},
        {"INSERT INTO votes", VOTE}, {"INSERT INTO pending", VOTE}, {"UPDATE journal", VOTE},
        {"INSERT INTO blocks", APPLY}, {"INSERT INTO envelopes", APPLY},
        {"INSERT INTO effects", APPLY}, {"INSERT INTO postings", APPLY},
        {"UPDATE accepted", APPLY}, {"DELETE FROM pending", APPLY},
        {"DELETE FROM proposals", APPLY}, {"INSERT OR REPLACE INTO tip", APPLY},
        {"INSERT OR REPLACE INTO state", APPLY}, {"DELETE FROM state", APPLY},
        {"INSERT INTO buckets", APPLY}, {"INSERT OR REPLACE INTO buckets", APPLY},
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (begins(sql, tables[i].words)) return transaction == CLOSE ? CLOSE : (int)tables[i].phase;
    return -1;
}

int sqlite3_step(void *statement) {
    static int (*step)(void *);
    static const char *(*sql_of)(void *);
    if (!step) {
        sql_of = (const char *(*)(void *))dlsym(RTLD_NEXT, "sqlite3_sql");
        step = (int (*)(void *))dlsym(RTLD_NEXT, "sqlite3_step");
    }
    const char *sql = is_on && sql_of ? sql_of(statement) : NULL;
    if (!sql) return step(statement);
    while (*sql == ' ' || *sql == '\n') sql++;
    if (begins(sql, "BEGIN") || begins(sql, "ROLLBACK")) {
        transaction = OTHER;
        vote[0] = 0;
    }
    int phase = phase_of_row(statement, sql);
    if (phase >= 0) {
        transaction = (enum phase)phase;
        pthread_mutex_lock(&lock);
        begin(arrive(ROW, transaction, sql));
        pthread_mutex_unlock(&lock);
    }
    int result = step(statement);
    static const int done = 101; // SQLITE_DONE
    if (begins(sql, "INSERT INTO votes") && result == done) keep_vote(statement);
    if (begins(sql, "COMMIT")) {
        if (result == done && vote[0]) note("vote %s\n", vote);
        transaction = OTHER;
        vote[0] = 0;
    }
    return result;
}

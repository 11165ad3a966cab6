/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a test puts between the running daemon and libc (LD_PRELOAD): clocks that can be stepped, and memory
 * that ends. The daemon itself has no hooks. tests/harness/shim.py starts it so and steers it:
 *
 *   - The file named by LWA_SHIM_CONTROL is mapped before main(), so before privileges are dropped and the
 *     environment is cleared. Test and daemon share it from then on; the layout is `struct control`.
 *   - Offsets are added to CLOCK_REALTIME (time() and gettimeofday() too) and to CLOCK_BOOTTIME.
 * CLOCK_MONOTONIC goes on as it does in life: a step of CLOCK_BOOTTIME alone is a suspend.
 *   - Deadlines of timerfds follow. SIGUSR2 has them armed anew; a test sends it after each step.
 *   - The n-th allocation after arming fails, once. Calls of the TLS library itself can be left
 * out. Where it failed is kept, so that a test can say so.
 *
 * After the constructor it makes no system call that the daemon does not make, but for timerfd_settime in the
 * handler. With the sanitizers memory is theirs; only the clocks are here then. */

#include "autoconf.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define NSEC_PER_SEC INT64_C(1000000000)
#define STACK_DEPTH 24

/* As in shim.py. All written by the test, but for count, failed, n_stack and stack. */
struct control {
    int64_t realtime_ns;
    int64_t boottime_ns;
    uint64_t fail_at; /* 0: not armed */
    uint64_t count;
    uint64_t failed;
    uint64_t without_tls;
    uint64_t n_stack;
    uint64_t stack[STACK_DEPTH];
};

static struct control unused;
static struct control *control = &unused;

#define LOAD(field) __atomic_load_n(&control->field, __ATOMIC_SEQ_CST)

/* --- clocks -------------------------------------------------------------------------------------------- */

static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_timerfd_create)(int, int);
static int (*real_timerfd_settime)(int, int, const struct itimerspec *, struct itimerspec *);

/* The end of time, as wallclock.c asks for it, is the last nanosecond that can be told. */
static int64_t to_ns(const struct timespec *ts)
{
    if (ts->tv_sec >= INT64_MAX / NSEC_PER_SEC)
        return INT64_MAX;
    return (int64_t)ts->tv_sec * NSEC_PER_SEC + ts->tv_nsec;
}

static struct timespec to_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC};
}

static int64_t offset_of(clockid_t id)
{
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
        return LOAD(realtime_ns);
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        return LOAD(boottime_ns);
    default:
        return 0;
    }
}

EXPORT int clock_gettime(clockid_t id, struct timespec *ts)
{
    if (!real_gettime) /* a constructor that runs before ours */
        *(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int r = real_gettime(id, ts);
    if (r == 0)
        *ts = to_timespec(to_ns(ts) + offset_of(id));
    return r;
}

EXPORT time_t time(time_t *ret)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    if (ret)
        *ret = ts.tv_sec;
    return ts.tv_sec;
}

EXPORT int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    (void)zone;
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

/* --- timerfds ------------------------------------------------------------------------------------------ */

#define TIMERS 64

/* A descriptor that was closed stays here until its number is a timer again: arming it then does nothing. */
static struct timer {
    int fd; /* 0: none */
    clockid_t clock;
    int64_t deadline_ns; /* on the stepped clock; 0: not armed */
    struct timespec interval;
    bool cancel_on_set;
} timers[TIMERS];

static struct timer *find_timer(int fd)
{
    for (size_t i = 0; i < TIMERS; i++)
        if (timers[i].fd == fd)
            return &timers[i];
    return NULL;
}

static int64_t stepped_now(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return to_ns(&ts);
}

static int arm(const struct timer *t)
{
    struct itimerspec value = {.it_interval = t->interval};
    if (t->deadline_ns) {
        int64_t left = t->deadline_ns - stepped_now(t->clock);
        value.it_value = to_timespec(left > 0 ? left : 1);
    }
    return real_timerfd_settime(t->fd, 0, &value, NULL);
}

EXPORT int timerfd_create(int clock, int flags)
{
    int fd = real_timerfd_create(clock, flags);
    if (fd < 0)
        return fd;
    struct timer *t = find_timer(fd);
    if (!t)
        t = find_timer(0);
    if (!t)
        abort(); /* more timers than a test of ours has */
    *t = (struct timer){.fd = fd, .clock = clock};
    return fd;
}

/* Always relative towards the kernel; the old value, which nobody here asks for, would be of the real clock.
 */
EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
    struct timer *t = find_timer(fd);
    if (!t)
        return real_timerfd_settime(fd, flags, value, old);
    int64_t deadline = to_ns(&value->it_value);
    if (deadline && !(flags & TFD_TIMER_ABSTIME))
        deadline += stepped_now(t->clock);
    t->deadline_ns = deadline;
    t->interval = value->it_interval;
    t->cancel_on_set = flags & TFD_TIMER_CANCEL_ON_SET;
    return arm(t);
}

/* One that a set clock cancels runs out instead: whoever watches it wakes up either way. */
static void on_step(int number)
{
    (void)number;
    int saved = errno;
    for (size_t i = 0; i < TIMERS; i++) {
        if (timers[i].fd <= 0 || !timers[i].deadline_ns)
            continue;
        if (timers[i].cancel_on_set)
            timers[i].deadline_ns = 1;
        (void)arm(&timers[i]);
    }
    errno = saved;
}

/* --- memory -------------------------------------------------------------------------------------------- */

#if !LWA_SANITIZE

#include <execinfo.h>
#include <link.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static void *(*real_mmap)(void *, size_t, int, int, int, off_t);

#define TLS_LIBRARIES 4

static struct range {
    uintptr_t begin;
    uintptr_t end;
} tls[TLS_LIBRARIES], between[2];
static size_t n_tls;

static int note_library(struct dl_phdr_info *info, size_t size, void *userdata)
{
    (void)size;
    (void)userdata;
    bool is_program = !info->dlpi_name[0];
    bool is_shim = strstr(info->dlpi_name, "/shim.so");
    bool is_tls_library = strstr(info->dlpi_name, "/libcrypto.") || strstr(info->dlpi_name, "/libssl.");
    if (!is_program && !is_shim && (!is_tls_library || n_tls == TLS_LIBRARIES))
        return 0;
    struct range range = {UINTPTR_MAX, 0};
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + header->p_vaddr;
        if (header->p_type != PT_LOAD)
            continue;
        range.begin = begin < range.begin ? begin : range.begin;
        range.end = begin + header->p_memsz > range.end ? begin + header->p_memsz : range.end;
    }
    if (is_tls_library)
        tls[n_tls++] = range;
    else
        between[is_shim] = range;
    return 0;
}

static bool is_in(const struct range *ranges, size_t n, uintptr_t address)
{
    for (size_t i = 0; i < n; i++)
        if (address >= ranges[i].begin && address < ranges[i].end)
            return true;
    return false;
}

/* The daemon has its own allocators between libraries and libc: who called those is meant. */
static bool is_tls(void)
{
    void *frames[8];
    int n = backtrace(frames, 8);
    for (int i = 0; i < n; i++)
        if (!is_in(between, 2, (uintptr_t)frames[i]))
            return is_in(tls, n_tls, (uintptr_t)frames[i]);
    return false;
}

static void keep_stack(void)
{
    void *frames[STACK_DEPTH];
    int n = backtrace(frames, STACK_DEPTH);
    for (int i = 0; i < n; i++)
        control->stack[i] = (uintptr_t)frames[i];
    control->n_stack = (uint64_t)n;
}

static bool must_fail(void)
{
    uint64_t fail_at = LOAD(fail_at);
    if (fail_at == 0 || (LOAD(without_tls) && is_tls()))
        return false;
    if (__atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST) != fail_at)
        return false;
    keep_stack();
    __atomic_store_n(&control->failed, 1, __ATOMIC_SEQ_CST);
    errno = ENOMEM;
    return true;
}

EXPORT void *malloc(size_t size)
{
    return must_fail() ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : __libc_calloc(n, size);
}

/* One that makes a block smaller cannot fail in practice, but may by the letter; it is let fail. */
EXPORT void *realloc(void *p, size_t size)
{
    return size > 0 && must_fail() ? NULL : __libc_realloc(p, size);
}

EXPORT void *reallocarray(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return bytes > 0 && must_fail() ? NULL : __libc_realloc(p, bytes);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    return must_fail() ? NULL : __libc_memalign(alignment, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return must_fail() ? NULL : __libc_memalign(alignment, size);
}

EXPORT int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *p = must_fail() ? NULL : __libc_memalign(alignment, size);
    if (!p)
        return ENOMEM;
    *ret = p;
    return 0;
}

/* libsodium's guarded memory, and SQLite's shared one. Threads' stacks come from inside libc. */
EXPORT void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    return must_fail() ? MAP_FAILED : real_mmap(address, size, protection, flags, fd, offset);
}

static void prepare_memory(void)
{
    *(void **)&real_mmap = dlsym(RTLD_NEXT, "mmap");
    (void)dl_iterate_phdr(note_library, NULL);
    void *frames[2];
    (void)backtrace(frames, 2); /* loads what it needs while that is allowed */
}

#else

static void prepare_memory(void)
{
}

#endif

/* --- life ---------------------------------------------------------------------------------------------- */

static void __attribute__((constructor)) prepare(void)
{
    *(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    *(void **)&real_timerfd_create = dlsym(RTLD_NEXT, "timerfd_create");
    *(void **)&real_timerfd_settime = dlsym(RTLD_NEXT, "timerfd_settime");
    prepare_memory();

    const char *path = getenv("LWA_SHIM_CONTROL");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *p = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (p == MAP_FAILED)
        return;
    control = p;
    const struct sigaction action = {.sa_handler = on_step, .sa_flags = SA_RESTART};
    (void)sigaction(SIGUSR2, &action, NULL);
}

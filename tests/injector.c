/* At the n-th change of a file in a folder the process is killed, or the call fails. Preloaded, armed by inject(). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[4096];
static long count = 0, nth = 0;
static int fault = 0; /* 0: only count, -1: be killed, else: the errno of the call */

void inject(const char *where, long n, int how) { strncpy(folder, where, sizeof folder - 1); count = 0; nth = n; fault = how; }
long injected(void) { return count; }

static int is_there(const char *path) { return folder[0] && path && strncmp(path, folder, strlen(folder)) == 0; }
static int is_ours(int fd) {
    char link[64], path[4096];
    if (!folder[0] || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return is_there(path);
}
/* Whether a path is in the folder, which may be said from an open folder on. */
static int is_at(int at, const char *path) { return path && path[0] == '/' ? is_there(path) : is_ours(at); }
/* Whether this call fails; of several threads one takes the fault. */
static int fails(void) {
    if (__atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST) != nth || !fault) return 0;
    if (fault < 0) kill(getpid(), SIGKILL);
    errno = fault;
    return 1;
}
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define ON_FD(type, name, parameters, arguments) \
    type name parameters { if (is_ours(fd) && fails()) return -1; return REAL(name) arguments; }
#define ON_PATH(name, parameters, arguments) \
    int name parameters { if (is_there(path) && fails()) return -1; return REAL(name) arguments; }
#define ON_AT(name, parameters, arguments) \
    int name parameters { if (is_at(at, path) && fails()) return -1; return REAL(name) arguments; }
/* Half of what was to be written is there then. */
#define WRITING(type, name, parameters, arguments, half) \
    type name parameters { \
        if (is_ours(fd)) { \
            if (count + 1 == nth && fault) { size_t size = n / 2; (void)REAL(name) half; } \
            if (fails()) return -1; \
        } \
        return REAL(name) arguments; \
    }
/* Opening changes something where it may make a file. */
#define OPENING(name, parameters, is_here, arguments) \
    int name parameters { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        if (flags & O_CREAT && is_here && fails()) return -1; \
        return REAL(name) arguments; \
    }
WRITING(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n), (fd, data, size))
WRITING(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at), (fd, data, size, at))
WRITING(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at), (fd, data, size, at))
OPENING(open, (const char *path, int flags, ...), is_there(path), (path, flags, mode))
OPENING(open64, (const char *path, int flags, ...), is_there(path), (path, flags, mode))
OPENING(openat, (int at, const char *path, int flags, ...), is_at(at, path), (at, path, flags, mode))
OPENING(openat64, (int at, const char *path, int flags, ...), is_at(at, path), (at, path, flags, mode))
ON_FD(int, fsync, (int fd), (fd))
ON_FD(int, fdatasync, (int fd), (fd))
ON_FD(int, ftruncate, (int fd, off_t n), (fd, n))
ON_FD(int, ftruncate64, (int fd, off64_t n), (fd, n))
ON_PATH(rename, (const char *path, const char *to), (path, to))
ON_PATH(link, (const char *path, const char *to), (path, to))
ON_PATH(symlink, (const char *to, const char *path), (to, path))
ON_PATH(unlink, (const char *path), (path))
ON_PATH(rmdir, (const char *path), (path))
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode))
ON_AT(unlinkat, (int at, const char *path, int flags), (at, path, flags))
ON_AT(linkat, (int at, const char *path, int other, const char *to, int flags), (at, path, other, to, flags))
ON_AT(renameat, (int at, const char *path, int other, const char *to), (at, path, other, to))
ON_AT(mkdirat, (int at, const char *path, mode_t mode), (at, path, mode))

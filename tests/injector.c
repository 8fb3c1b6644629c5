/* At the n-th change of a file in a folder the process is killed, or the call fails. Preloaded, armed by inject(). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
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
    if (!folder[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return is_there(path);
}
/* Whether this call fails. */
static int fails(void) {
    if (++count != nth || !fault) return 0;
    if (fault < 0) kill(getpid(), SIGKILL);
    errno = fault;
    return 1;
}
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define ON_FD(type, name, parameters, arguments) \
    type name parameters { if (is_ours(fd) && fails()) return -1; return REAL(name) arguments; }
#define ON_PATH(name, parameters, arguments) \
    int name parameters { if (is_there(path) && fails()) return -1; return REAL(name) arguments; }
/* Half of what was to be written is there when the process is killed. */
#define WRITING(type, name, parameters, arguments, half) \
    type name parameters { \
        if (is_ours(fd)) { \
            if (count + 1 == nth && fault < 0) { size_t size = n / 2; (void)REAL(name) half; } \
            if (fails()) return -1; \
        } \
        return REAL(name) arguments; \
    }
WRITING(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n), (fd, data, size))
WRITING(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at), (fd, data, size, at))
WRITING(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at), (fd, data, size, at))
ON_FD(int, fsync, (int fd), (fd))
ON_FD(int, fdatasync, (int fd), (fd))
ON_FD(int, ftruncate, (int fd, off_t n), (fd, n))
ON_FD(int, ftruncate64, (int fd, off64_t n), (fd, n))
ON_PATH(rename, (const char *path, const char *to), (path, to))
ON_PATH(link, (const char *path, const char *to), (path, to))
ON_PATH(unlink, (const char *path), (path))
ON_PATH(rmdir, (const char *path), (path))
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode))
int unlinkat(int at, const char *path, int flags) { if (is_there(path) && fails()) return -1; return REAL(unlinkat)(at, path, flags); }
int linkat(int at, const char *path, int other, const char *to, int flags) {
    if (is_there(path) && fails()) return -1;
    return REAL(linkat)(at, path, other, to, flags);
}
int renameat(int at, const char *path, int other, const char *to) {
    if (is_there(path) && fails()) return -1;
    return REAL(renameat)(at, path, other, to);
}
int mkdirat(int at, const char *path, mode_t mode) { if (is_there(path) && fails()) return -1; return REAL(mkdirat)(at, path, mode); }

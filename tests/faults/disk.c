/* Lets a write below a folder fail: loaded into a command by LD_PRELOAD (tests/faults/test_disk.py).

   FAULT_FOLDER    whose files fail; nothing fails without it
   FAULT_AT        number of the call that fails, from 1; 0 counts alone
   FAULT_ERRNO     what it fails with
   FAULT_FOR_EVER  "1": every later call fails too, as on a full disk
   FAULT_COUNTER   file of 8 bytes that counts the calls

   What the C library itself calls (fwrite) is not seen; nothing here writes that way. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static long *counter(void) {
  static long *found;
  const char *path = getenv("FAULT_COUNTER");
  if (!found && path) {
    int fd = REAL(open)(path, O_RDWR);
    if (fd >= 0) {
      void *page = mmap(0, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      if (page != MAP_FAILED) found = page;
      close(fd);
    }
  }
  return found;
}

static int fails(const char *path) {
  const char *folder = getenv("FAULT_FOLDER");
  if (!folder || !path || strncmp(path, folder, strlen(folder))) return 0;
  long *count = counter();
  if (!count) return 0;
  long number = __sync_add_and_fetch(count, 1);
  long at = atol(getenv("FAULT_AT"));
  const char *ever = getenv("FAULT_FOR_EVER");
  if (!at || (ever && *ever == '1' ? number < at : number != at)) return 0;
  errno = atoi(getenv("FAULT_ERRNO"));
  return 1;
}

static int fd_fails(int fd) {
  if (!getenv("FAULT_FOLDER")) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return fails(path);
}

ssize_t write(int fd, const void *data, size_t size) {
  return fd_fails(fd) ? -1 : REAL(write)(fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  return fd_fails(fd) ? -1 : REAL(pwrite)(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  return fd_fails(fd) ? -1 : REAL(pwrite64)(fd, data, size, at);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  return fd_fails(fd) ? -1 : REAL(writev)(fd, parts, count);
}
int fsync(int fd) { return fd_fails(fd) ? -1 : REAL(fsync)(fd); }
int ftruncate(int fd, off_t size) { return fd_fails(fd) ? -1 : REAL(ftruncate)(fd, size); }
int mkdir(const char *path, mode_t mode) { return fails(path) ? -1 : REAL(mkdir)(path, mode); }
int rename(const char *from, const char *to) { return fails(to) ? -1 : REAL(rename)(from, to); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
  return fails(to) ? -1 : REAL(renameat2)(a, from, b, to, flags);
}

#define OPEN(name, ...)                                       \
  mode_t mode = 0;                                            \
  if (flags & (O_CREAT | O_TMPFILE)) {                        \
    va_list rest;                                             \
    va_start(rest, flags);                                    \
    mode = va_arg(rest, mode_t);                              \
    va_end(rest);                                             \
  }                                                           \
  if ((flags & O_CREAT) && fails(path)) return -1;            \
  return REAL(name)(__VA_ARGS__, flags, mode);

int open(const char *path, int flags, ...) { OPEN(open, path) }
int open64(const char *path, int flags, ...) { OPEN(open64, path) }
int openat(int at, const char *path, int flags, ...) { OPEN(openat, at, path) }
int openat64(int at, const char *path, int flags, ...) { OPEN(openat64, at, path) }

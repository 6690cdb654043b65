/*
 * Preloaded into a server under test: its wall clock is off by what the file named in CLOCK_SHIM_FILE says, milliseconds as a 64-bit
 * integer, read at each look. The monotonic clock stays.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset_ms;

__attribute__((constructor)) static void open_offset(void) {
  const char *file = getenv("CLOCK_SHIM_FILE");
  int fd = file == NULL ? -1 : open(file, O_RDONLY);
  if (fd < 0) _exit(97);
  offset_ms = mmap(NULL, sizeof *offset_ms, PROT_READ, MAP_SHARED, fd, 0);
  if (offset_ms == MAP_FAILED) _exit(98);
}

static int real_clock(clockid_t clock, struct timespec *time) {
  static int (*real)(clockid_t, struct timespec *);
  if (real == NULL) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  return real(clock, time);
}

int clock_gettime(clockid_t clock, struct timespec *out) {
  int result = real_clock(clock, out);
  if (result != 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) || offset_ms == NULL) return result;
  int64_t ns = (int64_t)out->tv_sec * 1000000000 + out->tv_nsec + *offset_ms * 1000000;
  out->tv_sec = ns / 1000000000;
  out->tv_nsec = ns % 1000000000;
  return 0;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
  (void)zone;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}

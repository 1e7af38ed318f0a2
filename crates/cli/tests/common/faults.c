/* Faults of the system, preloaded into a process:
 * FAULT_THREADS=n  only n more threads can be started;
 * FAULT_LOCKS=1    the file system has no locks (NFS without a lock daemon);
 * FAULT_DISK=n     the disk is full after n written bytes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/file.h>
#include <unistd.h>

static long setting(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : -1;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                   void *(*start)(void *), void *argument) {
    static atomic_long started;
    long most = setting("FAULT_THREADS");
    if (most >= 0 && atomic_fetch_add(&started, 1) >= most)
        return EAGAIN;
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, start, argument);
}

int flock(int file, int operation) {
    if (setting("FAULT_LOCKS") > 0) {
        errno = ENOLCK;
        return -1;
    }
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    return real(file, operation);
}

ssize_t write(int file, const void *bytes, size_t count) {
    static atomic_long written;
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    long most = setting("FAULT_DISK");
    if (file > 2 && most >= 0 && atomic_fetch_add(&written, (long)count) + (long)count > most) {
        errno = ENOSPC;
        return -1;
    }
    return real(file, bytes, count);
}

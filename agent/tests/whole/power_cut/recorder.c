/*
 * Records what a process does to the files below a directory, so that a test can say what a power cut would have left of them.
 *
 * Loaded with LD_PRELOAD. RECORDER_ROOT is the directory (an absolute path without links), RECORDER_LOG the file that gets the
 * records, one after the other in the order in which things were done:
 *
 *     struct header, then `name` bytes of path, then `data` bytes of content
 *
 * Data leaves are recorded too: what is sent to a socket stands between the writes before and after it. One lock makes
 * the order of the records the order of what was done. Flushes are recorded and not carried out: the disk of the test is
 * the log.
 *
 * Not recorded: writes to mapped memory. SQLite maps its index of the log alone, and makes a new one after a crash.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum operation { CREATE = 1, WRITE, RESIZE, SYNC, SYNC_NAMES, UNLINK, SENT };

struct header {
	uint64_t operation; /* one of the above */
	uint64_t object;    /* the file's inode, where there is one */
	uint64_t offset;    /* of WRITE; the new length of RESIZE */
	uint64_t name;      /* how many bytes of path follow */
	uint64_t data;      /* how many bytes of content follow those */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root;
static size_t root_length;
static int log_fd = -1;

__attribute__((constructor)) static void begin(void)
{
	const char *log = getenv("RECORDER_LOG");
	root = getenv("RECORDER_ROOT");
	if (!root || !log)
		return;
	root_length = strlen(root);
	log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log_fd < 0)
		abort();
}

static int is_below(const char *path)
{
	return log_fd >= 0 && path && !strncmp(path, root, root_length) &&
	       (path[root_length] == '/' || !path[root_length]);
}

/* What the descriptor is open on: its path if that is below the root (also when the file was unlinked). */
static int path_of(int fd, char *path)
{
	char link[64];
	ssize_t length;
	if (log_fd < 0)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	length = readlink(link, path, PATH_MAX - 1);
	path[length < 0 ? 0 : length] = 0;
	return is_below(path);
}

static uint64_t inode_of(int fd)
{
	struct stat stat;
	return fstat(fd, &stat) ? 0 : stat.st_ino;
}

static void put(const void *bytes, size_t length)
{
	while (length) {
		ssize_t written = syscall(SYS_write, log_fd, bytes, length);
		if (written <= 0)
			abort();
		bytes = (const char *)bytes + written;
		length -= (size_t)written;
	}
}

static void record(enum operation operation, uint64_t object, uint64_t offset, const char *name, const void *data,
		   size_t length)
{
	struct header header = {operation, object, offset, name ? strlen(name) : 0, length};
	put(&header, sizeof header);
	put(name, header.name);
	put(data, length);
}

/* ------------------------------------------------------------------ names */

static int open_recorded(int directory, const char *path, int flags, mode_t mode)
{
	struct stat before;
	int fd, created, saved;
	if (!is_below(path) || !(flags & (O_CREAT | O_TRUNC)))
		return (int)syscall(SYS_openat, directory, path, flags, mode);
	pthread_mutex_lock(&lock);
	created = stat(path, &before) != 0;
	fd = (int)syscall(SYS_openat, directory, path, flags, mode);
	saved = errno;
	if (fd >= 0 && created)
		record(CREATE, inode_of(fd), 0, path, NULL, 0);
	else if (fd >= 0 && (flags & O_TRUNC))
		record(RESIZE, inode_of(fd), 0, NULL, NULL, 0);
	pthread_mutex_unlock(&lock);
	errno = saved;
	return fd;
}

#define MODE(flags)                                                                                                    \
	mode_t mode = 0;                                                                                               \
	if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                         \
		va_list rest;                                                                                          \
		va_start(rest, flags);                                                                                 \
		mode = va_arg(rest, mode_t);                                                                           \
		va_end(rest);                                                                                          \
	}

int open(const char *path, int flags, ...)
{
	MODE(flags)
	return open_recorded(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	MODE(flags)
	return open_recorded(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
	MODE(flags)
	return open_recorded(directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...)
{
	MODE(flags)
	return open_recorded(directory, path, flags, mode);
}

int unlink(const char *path)
{
	int result;
	pthread_mutex_lock(&lock);
	result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
	if (!result && is_below(path))
		record(UNLINK, 0, 0, path, NULL, 0);
	pthread_mutex_unlock(&lock);
	return result;
}

int rename(const char *from, const char *to)
{
	if (is_below(from) || is_below(to))
		abort(); /* Nobody here renames; a recording that misses it would be wrong. */
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* ---------------------------------------------------------------- content */

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	char path[PATH_MAX];
	ssize_t written;
	if (!path_of(fd, path))
		return syscall(SYS_pwrite64, fd, bytes, length, offset);
	pthread_mutex_lock(&lock);
	written = syscall(SYS_pwrite64, fd, bytes, length, offset);
	if (written > 0)
		record(WRITE, inode_of(fd), (uint64_t)offset, path, bytes, (size_t)written);
	pthread_mutex_unlock(&lock);
	return written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
	return pwrite(fd, bytes, length, offset);
}

static void sent(const struct iovec *parts, size_t count)
{
	size_t length = 0, at = 0, part;
	char *bytes;
	for (part = 0; part < count; part++)
		length += parts[part].iov_len;
	bytes = malloc(length);
	if (!bytes)
		abort();
	for (part = 0; part < count; at += parts[part++].iov_len)
		memcpy(bytes + at, parts[part].iov_base, parts[part].iov_len);
	pthread_mutex_lock(&lock);
	record(SENT, 0, 0, NULL, bytes, length);
	pthread_mutex_unlock(&lock);
	free(bytes);
}

static int is_socket(int fd)
{
	struct stat stat;
	return log_fd >= 0 && !fstat(fd, &stat) && S_ISSOCK(stat.st_mode);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	char path[PATH_MAX];
	off_t offset;
	struct stat stat;
	ssize_t written;
	struct iovec whole = {(void *)bytes, length};
	if (is_socket(fd))
		sent(&whole, 1);
	if (!path_of(fd, path))
		return syscall(SYS_write, fd, bytes, length);
	pthread_mutex_lock(&lock);
	offset = lseek(fd, 0, SEEK_CUR);
	if (fcntl(fd, F_GETFL) & O_APPEND)
		offset = fstat(fd, &stat) ? offset : stat.st_size;
	written = syscall(SYS_write, fd, bytes, length);
	if (written > 0)
		record(WRITE, inode_of(fd), (uint64_t)offset, path, bytes, (size_t)written);
	pthread_mutex_unlock(&lock);
	return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	char path[PATH_MAX];
	if (is_socket(fd))
		sent(parts, (size_t)count);
	else if (path_of(fd, path))
		abort(); /* As for rename. */
	return syscall(SYS_writev, fd, parts, count);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
	struct iovec whole = {(void *)bytes, length};
	if (is_socket(fd))
		sent(&whole, 1);
	return syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (is_socket(fd))
		sent(message->msg_iov, message->msg_iovlen);
	return syscall(SYS_sendmsg, fd, message, flags);
}

int ftruncate(int fd, off_t length)
{
	char path[PATH_MAX];
	int result;
	pthread_mutex_lock(&lock);
	result = (int)syscall(SYS_ftruncate, fd, length);
	if (!result && path_of(fd, path))
		record(RESIZE, inode_of(fd), (uint64_t)length, path, NULL, 0);
	pthread_mutex_unlock(&lock);
	return result;
}

int ftruncate64(int fd, off64_t length)
{
	return ftruncate(fd, length);
}

static void must_not_be_recorded(int fd)
{
	char path[PATH_MAX];
	if (path_of(fd, path))
		abort(); /* As for rename. */
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	must_not_be_recorded(fd);
	return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned flags)
{
	must_not_be_recorded(out);
	return syscall(SYS_copy_file_range, in, from, out, to, length, flags);
}

/* ---------------------------------------------------------------- flushes */

static int flush(int fd, int names)
{
	char path[PATH_MAX];
	struct stat stat;
	if (!path_of(fd, path) || fstat(fd, &stat))
		return (int)syscall(SYS_fsync, fd);
	pthread_mutex_lock(&lock);
	if (!S_ISDIR(stat.st_mode))
		record(SYNC, stat.st_ino, 0, path, NULL, 0);
	else if (names) /* fdatasync promises nothing about names */
		record(SYNC_NAMES, 0, 0, path, NULL, 0);
	pthread_mutex_unlock(&lock);
	return 0;
}

int fsync(int fd)
{
	return flush(fd, 1);
}

int fdatasync(int fd)
{
	return flush(fd, 0);
}

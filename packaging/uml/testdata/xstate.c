// Loaded into a User Mode Linux before its libc, so that it runs on processors
// with more state than it has room for (AMX). Up to Linux 6.12 it keeps the
// 2696 bytes that AVX-512 and protection keys take, and the machine's kernel
// takes back a whole area only (PTRACE_SETREGSET: EFAULT). What is behind is
// state that no program has without asking for it, so it stays as it was.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static long set_whole(long pid, struct iovec *part)
{
	static __thread char area[64 << 10] __attribute__((aligned(64)));
	struct iovec whole = { area, sizeof area };

	if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &whole) < 0)
		return -1;
	if (part->iov_len < whole.iov_len)
		memcpy(area, part->iov_base, part->iov_len);
	return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &whole);
}

// As glibc's, whose peeks return the word instead of storing it.
long ptrace(enum __ptrace_request request, ...)
{
	va_list rest;
	long word = 0, result;

	va_start(rest, request);
	long pid = va_arg(rest, int);
	void *address = va_arg(rest, void *), *data = va_arg(rest, void *);
	va_end(rest);

	int peeks = request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER;
	result = syscall(SYS_ptrace, request, pid, address, peeks ? &word : data);
	if (result < 0 && errno == EFAULT && request == PTRACE_SETREGSET && address == (void *)NT_X86_XSTATE)
		return set_whole(pid, data);
	if (result < 0 || !peeks)
		return result;
	errno = 0;
	return word;
}

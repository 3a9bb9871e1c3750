/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Two ways for the process to end: with a message instead of a core dump if another process
 * truncates a mapped file; and, for a helper, together with its parent.
 */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "btf.h"

#define EXIT_ENVIRONMENT 4

static void say_and_end(int signum)
{
	static const char text[] = "kbtf: error: a file was truncated or cannot be read\n";
	ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)signum;
	(void)written;
	_exit(EXIT_ENVIRONMENT);
}

void end_on_truncation(void)
{
	struct sigaction action = {.sa_handler = say_and_end};

	sigaction(SIGBUS, &action, NULL);
}

void end_with_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}

/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What Python cannot do for the process: flush a file system, or end with a message instead of a core dump if
 * another process truncates a mapped file, and, for a helper, together with its parent.
 */
#define _GNU_SOURCE /* syncfs(), sync_file_range() */
#include "objects.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXIT_ENVIRONMENT 4

static void say_and_end(int signum)
{
	static const char text[] = "kbtf: error: a file was truncated or cannot be read\n";
	ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)signum;
	(void)written;
	_exit(EXIT_ENVIRONMENT);
}

PyObject *end_on_truncation(PyObject *module, PyObject *unused)
{
	struct sigaction action = {.sa_handler = say_and_end};

	(void)module;
	(void)unused;
	sigaction(SIGBUS, &action, NULL);
	return Py_NewRef(Py_None);
}

PyObject *end_with_parent(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	return Py_NewRef(Py_None);
}

/* Python has no syncfs(); False if the system lacks it, or it failed. */
PyObject *flush_file_system(PyObject *module, PyObject *arg)
{
	long fd = PyLong_AsLong(arg);
	int failed;

	(void)module;
	if (fd == -1 && PyErr_Occurred())
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	failed = syncfs((int)fd);
	Py_END_ALLOW_THREADS
	return PyBool_FromLong(!failed);
}

/* Python has no sync_file_range(); a system that lacks it writes the file later. */
PyObject *start_flush(PyObject *module, PyObject *arg)
{
	long fd = PyLong_AsLong(arg);

	(void)module;
	if (fd == -1 && PyErr_Occurred())
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	(void)sync_file_range((int)fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	Py_END_ALLOW_THREADS
	return Py_NewRef(Py_None);
}

// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * load - loads modules, then becomes another program.
 *
 *   load MODULE... -- PROGRAM [ARGUMENT...]
 *
 * The program runs in the task that loaded the modules, so that a module which remembers that task
 * meets it again. Prints a line for each module: "loaded MODULE"; "forced MODULE" if the kernel
 * took it only without regard to its vermagic and the CRCs of symbols, as it does with modules of
 * another build (needs CONFIG_MODULE_FORCE_LOAD); "failed MODULE ERRNO".
 * Exit status: 1 a module failed, 2 wrong arguments or no such program, else the program's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/module.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int load(const char *path)
{
	static const unsigned int force = MODULE_INIT_IGNORE_VERMAGIC |
					  MODULE_INIT_IGNORE_MODVERSIONS;
	const char *how = "loaded";
	int err = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		perror(path);
		return -1;
	}
	if (syscall(SYS_finit_module, fd, "", 0)) {
		how = "forced";
		err = syscall(SYS_finit_module, fd, "", force) ? errno : 0;
	}
	close(fd);
	if (err)
		printf("failed %s %d\n", path, err);
	else
		printf("%s %s\n", how, path);
	return err ? -1 : 0;
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (load(argv[i]))
			return 1;
	if (i + 1 >= argc) {
		fprintf(stderr, "usage: load MODULE... -- PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	fflush(stdout);
	execv(argv[i + 1], argv + i + 1);
	perror(argv[i + 1]);
	return 2;
}

/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Runs kbtf from its source tree, with the C core from the build tree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char start[] = "import sys; sys.path.insert(0, sys.argv.pop(1)); "
			    "import kbtf.native; kbtf.native.__path__.append(sys.argv.pop(1)); "
			    "from kbtf.program import kbtf; sys.exit(kbtf())";

int main(int argc, char **argv)
{
	const char *const head[] = {PYTHON, "-P", "-c", start, SOURCE, NATIVE};
	const size_t nr_head = sizeof(head) / sizeof(*head);
	const char **words = calloc(nr_head + (size_t)argc + 1, sizeof(*words));

	if (!words) {
		perror("kbtf");
		return 4;
	}
	memcpy(words, head, sizeof(head));
	if (argc > 1)
		memcpy(words + nr_head, argv + 1, (size_t)(argc - 1) * sizeof(*words));
	execv(PYTHON, (char *const *)words);
	perror(PYTHON);
	return 4;
}

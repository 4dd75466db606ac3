// SPDX-License-Identifier: MIT
/*
 * Other programs that slabbench starts.
 */
#include <stdlib.h>
#include "slabbench.h"

/**
 * have_program() - whether a program is there
 * @name: a word, to be looked for in $PATH
 */
bool have_program(const char *name)
{
	char command[128];

	snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1",
		 name);
	return !system(command);
}

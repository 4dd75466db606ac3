// SPDX-License-Identifier: MIT
/*
 * host LIBRARY TIMES: loads it, calls its plugin_run() if it has one, unloads
 * it, and so on.
 */
#include "preload.h"

int main(int argc, char **argv)
{
	must(argc == 3);
	must_be_slabmalloc();
	for (int i = 0; i < atoi(argv[2]); i++) {
		void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
		int (*run)(void);

		if (!plugin)
			fprintf(stderr, "%s\n", dlerror());
		must(plugin);
		run = (int (*)(void))dlsym(plugin, "plugin_run");
		if (run)
			must(run() == 1);
		use_memory(20);
		must(!dlclose(plugin));
	}
	return 0;
}

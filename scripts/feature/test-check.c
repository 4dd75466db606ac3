// SPDX-License-Identifier: MIT
#include <check.h>

int main(void)
{
	SRunner *runner = srunner_create(suite_create("probe"));

	srunner_free(runner);
	return 0;
}

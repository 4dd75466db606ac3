// SPDX-License-Identifier: MIT
#include <valgrind/memcheck.h>

int main(void)
{
	char c = 0;

	return VALGRIND_MAKE_MEM_DEFINED(&c, 1);
}

// SPDX-License-Identifier: MIT
/* hugetlbfs.h uses size_t and does not say where it comes from. */
#include <stddef.h>
#include <hugetlbfs.h>

int main(void)
{
	return gethugepagesizes(NULL, 0);
}

// SPDX-License-Identifier: MIT
#include <numa.h>
#include <numaif.h>

int main(void)
{
	return numa_available();
}

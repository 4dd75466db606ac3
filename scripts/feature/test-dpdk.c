// SPDX-License-Identifier: MIT
#include <rte_malloc.h>
#include <rte_mempool.h>

int main(void)
{
	return rte_malloc(NULL, 1, 0) && rte_mempool_lookup("");
}

// SPDX-License-Identifier: MIT
#include "crash.h"

int main(void)
{
	blame(NULL);
	return rn_alloc_node(64, RN_NOFAIL, 4000) == NULL;
}

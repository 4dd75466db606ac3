// SPDX-License-Identifier: MIT
#include <sys/sdt.h>

int main(void)
{
	STAP_PROBE1(test, probe, 0);
	return 0;
}

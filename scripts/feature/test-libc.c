// SPDX-License-Identifier: MIT
/* glibc 2.35 or newer: it registers the area of restartable sequences. */
#include <stdio.h>
#include <sys/rseq.h>

int main(void)
{
	printf("%u %td\n", __rseq_size, __rseq_offset);
	return 0;
}

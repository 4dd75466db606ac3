// SPDX-License-Identifier: MIT
#include <zstd.h>

int main(void)
{
	return ZSTD_freeDStream(ZSTD_createDStream()) != 0;
}

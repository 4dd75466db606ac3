// SPDX-License-Identifier: MIT
#include <hiredis.h>

int main(void)
{
	redisContext *context = redisConnectUnix("");

	redisFree(context);
	return 0;
}

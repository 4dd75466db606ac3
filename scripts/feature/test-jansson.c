// SPDX-License-Identifier: MIT
#include <jansson.h>

int main(void)
{
	json_t *object = json_object();

	json_decref(object);
	return 0;
}

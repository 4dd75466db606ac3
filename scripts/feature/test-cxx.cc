// SPDX-License-Identifier: MIT
#include <new>
#include <string>

int main()
{
	return static_cast<int>(std::string("").size());
}

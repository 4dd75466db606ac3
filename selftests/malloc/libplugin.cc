// SPDX-License-Identifier: MIT
/*
 * A plugin in C++ for a program in C: the C++ library comes with it. What it
 * cannot allocate it is told by an exception, which it catches.
 */
#include <cstddef>
#include <map>
#include <new>
#include <string>

static volatile std::size_t too_much = static_cast<std::size_t>(1) << 46;
static void *volatile sink;

static bool refused(bool aligned)
{
	try {
		if (aligned)
			sink = ::operator new(too_much, std::align_val_t(64));
		else
			sink = ::operator new(too_much);
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

extern "C" int plugin_run()
{
	std::map<std::string, std::string> map;

	for (int i = 0; i < 100; i++)
		map[std::to_string(i)] = std::string(i * 10, 'x');
	if (map["99"].size() != 990)
		return 0;
	return refused(false) && refused(true) &&
	       !::operator new(too_much, std::nothrow);
}

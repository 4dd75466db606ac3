// SPDX-License-Identifier: MIT
/*
 * What programs in C++ do with memory: containers that grow and shrink, strings
 * that go from thread to thread.
 */
#include "preload.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

static void grow_and_shrink(unsigned int seed)
{
	std::vector<std::string> words;
	std::map<std::string, unsigned int> sorted;
	std::unordered_map<unsigned int, std::vector<unsigned int>> lists;

	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int n = (i + seed) * 2654435761U % 5000;

		words.push_back(std::to_string(n) + std::string(n % 90, '-'));
		sorted[words.back()]++;
		lists[n % 100].push_back(n);
		if (i % 3 == 0)
			words.erase(words.begin() + words.size() / 2);
	}
	for (const auto &word : words)
		must(sorted.count(word));
	for (const auto &list : lists)
		for (unsigned int n : list.second)
			must(n % 100 == list.first);
}

struct alignas(128) wide {
	char bytes[200];
};

class queue {
	std::deque<std::shared_ptr<std::string>> items;
	std::mutex mutex;
	std::condition_variable filled;
public:
	void put(std::shared_ptr<std::string> item)
	{
		std::lock_guard<std::mutex> guard(mutex);

		items.push_back(std::move(item));
		filled.notify_one();
	}

	std::shared_ptr<std::string> get()
	{
		std::unique_lock<std::mutex> guard(mutex);

		filled.wait(guard, [this] { return !items.empty(); });
		auto item = std::move(items.front());
		items.pop_front();
		return item;
	}
};

static void pass_on(unsigned int n)
{
	queue q;
	std::thread producer([&q, n] {
		for (unsigned int i = 0; i < n; i++)
			q.put(std::make_shared<std::string>(i % 500, 'p'));
	});

	for (unsigned int i = 0; i < n; i++)
		must(*q.get() == std::string(i % 500, 'p'));
	producer.join();
}

static void aligned_elements()
{
	std::vector<wide> v(3);
	auto one = std::make_unique<wide>();

	for (int i = 0; i < 500; i++) {
		v.emplace_back();
		must(reinterpret_cast<std::size_t>(v.data()) % 128 == 0);
	}
	must(reinterpret_cast<std::size_t>(one.get()) % 128 == 0);
}

int main()
{
	std::vector<std::thread> threads;

	must_be_slabmalloc();
	for (unsigned int i = 0; i < 4; i++)
		threads.emplace_back(grow_and_shrink, i);
	for (auto &t : threads)
		t.join();
	pass_on(20000);
	aligned_elements();
	return 0;
}

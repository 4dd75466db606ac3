// SPDX-License-Identifier: MIT
/*
 * What memcheck and AddressSanitizer are told of objects, and what is added to
 * the reports of the latter.
 *
 * The functions of AddressSanitizer's and LeakSanitizer's runtime are in the
 * program, or are not: which is known when it runs.
 */
#include "memcheck.h"
#include "sanitizer.h"

#define __runtime	__attribute__((weak, visibility("default")))

__runtime void __asan_poison_memory_region(const volatile void *p, size_t size);
__runtime void __asan_unpoison_memory_region(const volatile void *p,
					     size_t size);
__runtime void __asan_set_error_report_callback(void (*fn)(const char *text));
__runtime void *__asan_get_report_address(void);
__runtime void __asan_describe_address(void *p);
__runtime void __lsan_register_root_region(const void *p, size_t size);

/* As AddressSanitizer's: larger objects are overrun by more. */
#define ZONE_MIN	16UL
#define ZONE_MAX	2048UL

enum sanitizer sanitizer;

bool sanitizer_wants_stacks(void)
{
	return __asan_poison_memory_region;
}

enum sanitizer sanitizer_find(void)
{
	if (!options.sanitizer)
		return SANITIZER_NONE;
	if (memcheck_runs())
		return SANITIZER_MEMCHECK;
	if (__asan_poison_memory_region && __asan_unpoison_memory_region)
		return SANITIZER_ASAN;
	return SANITIZER_NONE;
}

/* Ours, which look at slabs, are to find what lies in these. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_INSTRUMENTED	true
#elif defined(__has_feature)
#define IS_INSTRUMENTED	__has_feature(address_sanitizer)
#else
#define IS_INSTRUMENTED	false
#endif

/* Why objects cannot be chunks of the runtime's, or NULL. */
static const char *why_no_heap(void)
{
	if (sanitizer != SANITIZER_ASAN)
		return "that is AddressSanitizer's";
	if (!asan_heap_is_possible())
		return "the runtime has no such functions";
	return options.limit_soft || options.limit_hard ?
	       "RN_LIMIT would not count it" : NULL;
}

static void choose_heap(void)
{
	bool asked = options.sanitizer == SANITIZE_MALLOC;
	const char *why;

	if (!asked && (options.sanitizer != SANITIZE_DEFAULT ||
		       sanitizer != SANITIZER_ASAN || IS_INSTRUMENTED))
		return;
	why = why_no_heap();
	asan_heap_on = !why;
	/* One that only pretends to be AddressSanitizer's is for tests. */
	if (why && (asked || asan_heap_is_possible()))
		report("RN_SANITIZER: objects are not malloc()'s: %s", why);
}

void sanitizer_init(void)
{
	sanitizer = sanitizer_find();
	if (!sanitizer)
		return;
	WRITE_ONCE(slab_debug_on, true);
	choose_heap();
}

/* --- words of ours behind AddressSanitizer's --- */

static void report_place(const void *p, const void *object, size_t size,
			 const char *state)
{
	const char *at = p, *from = object, *where = "inside";
	size_t bytes = at - from;

	if (at < from) {
		where = "before";
		bytes = from - at;
	} else if (bytes >= size) {
		where = "after";
		bytes -= size;
	}
	report("%p is %zu bytes %s an object of %zu bytes, %s", p, bytes, where,
	       size, state);
}

/* Who touched it may be one of ours, with the lock: then it is as it stands. */
static void copy_object(struct fault *f, const void *p, unsigned int index)
{
	struct cache_node *n = row_to_cache_node(ptr_to_row(p));
	const struct page *slab = ptr_to_slab(f->c, p);
	bool locked = trylock(&n->list_lock);

	f->object = slab_object(f->c, slab, index);
	fault_copy(f, slab);
	if (locked)
		unlock(&n->list_lock);
}

static void report_in_slab(const void *p, const struct rn_cache *c)
{
	unsigned int index = slab_index(c, (const char *)p -
					   slab_address(ptr_to_slab(c, p)));
	struct fault f;

	if (index >= c->objects) {
		report("%p is behind the objects of a slab of %s", p, c->name);
		return;
	}
	fault_begin(&f, c, NULL);
	copy_object(&f, p, index);
	report_place(p, f.object, min(f.size, c->object_size),
		     f.state == OBJECT_USED ? "in use" : "freed");
	report_object(&f);
}

static void report_in_run(const void *p)
{
	const struct page *head = large_find(p);

	if (head)
		report_place(p, slab_address(head), large_size(head),
			     head->type == PAGE_LARGE ? "in use" : "freed");
}

static void add_to_report(const char *text)
{
	const void *p = __asan_get_report_address();
	unsigned int row;

	(void)text;
	if (!ptr_to_page(p))
		return;
	row = ptr_to_row(p);
	if (!row)
		report_in_run(p);
	else if (is_sanitized(row_to_cache(row)))
		report_in_slab(p, row_to_cache(row));
}

int sanitizer_start(void)
{
	if (!sanitizer)
		return 0;
	if (__asan_set_error_report_callback && __asan_get_report_address)
		__asan_set_error_report_callback(add_to_report);
	/* Of which it looks at what is mapped and not poisoned. */
	if (__lsan_register_root_region)
		__lsan_register_root_region((void *)mem.base, mem.bytes);
	return quarantine_init() ?: asan_heap_start();
}

/* --- what is said of memory --- */

static void forbid(const void *p, size_t size)
{
	if (sanitizer == SANITIZER_ASAN)
		__asan_poison_memory_region(p, size);
	else
		memcheck_forbid(p, size);
}

static void allow(const void *p, size_t size, bool written)
{
	if (sanitizer == SANITIZER_ASAN)
		__asan_unpoison_memory_region(p, size);
	else
		memcheck_allow(p, size, written);
}

/* Their bytes need no check; without tracks memcheck has its own. */
unsigned int sanitizer_debug_flags(unsigned int flags)
{
	unsigned int heap = asan_heap_on && !(flags & RN_DEBUG_FLAGS) ?
			    DEBUG_ASAN_HEAP : 0;

	if (!sanitizer)
		return flags;
	flags &= ~(RN_RED_ZONE | RN_POISON);
	if (sanitizer == SANITIZER_ASAN)
		flags |= RN_STORE_USER;
	return flags | DEBUG_SANITIZER | heap;
}

size_t sanitizer_zone(size_t object)
{
	return min(max(ALIGN(object / 4, sizeof(u64)), ZONE_MIN), ZONE_MAX);
}

void sanitizer_new_slab(const struct rn_cache *c, const struct page *slab)
{
	forbid(slab_address(slab), (size_t)c->pages << PAGE_SHIFT);
	for (unsigned int i = 0; i < c->objects; i++) {
		const char *object = slab_object(c, slab, i);

		allow(object + c->free_offset,
		      slab_debug_end(c) - c->free_offset, true);
	}
}

/* Objects may still be out, of a group that ends. */
static void free_all(const struct rn_cache *c, const struct page *slab)
{
	for (unsigned int i = 0; i < c->objects; i++) {
		const void *object = slab_object(c, slab, i);

		if (meta_of(c, object)->state == OBJECT_USED)
			sanitizer_free(object);
	}
}

void sanitizer_end_slab(const struct rn_cache *c, const struct page *slab)
{
	free_all(c, slab);
	allow(slab_address(slab), (size_t)c->pages << PAGE_SHIFT, true);
}

void sanitizer_open(const void *p, size_t size, bool written)
{
	allow(p, size, written);
}

void sanitizer_alloc(const void *p, size_t size, size_t room, bool written)
{
	forbid((const char *)p + size, room - size);
	if (sanitizer == SANITIZER_MEMCHECK)
		memcheck_alloc(p, size, written);
}

void sanitizer_resize(const void *p, size_t old, size_t size)
{
	if (sanitizer == SANITIZER_MEMCHECK)
		memcheck_resize(p, old, size);
	else if (size < old)
		forbid((const char *)p + size, old - size);
	else
		allow(p, size, true);
}

void sanitizer_free(const void *p)
{
	if (sanitizer == SANITIZER_MEMCHECK)
		memcheck_free(p);
}

void sanitizer_describe(const void *p)
{
	if (sanitizer == SANITIZER_ASAN && __asan_describe_address)
		__asan_describe_address((void *)p);
}

void sanitizer_invalid_free(const void *p)
{
	sanitizer_free(p);
	if (sanitizer != SANITIZER_ASAN)
		return;
	if (mem_has(p))
		report_in_run(p);
	else
		sanitizer_describe(p);
}

void sanitizer_count(const struct rn_cache *c)
{
	if (sanitizer == SANITIZER_MEMCHECK && is_sanitized(c))
		memcheck_count();
}

void sanitizer_close(const void *p, size_t size)
{
	forbid(p, size);
}

// SPDX-License-Identifier: MIT
/*
 * Caches of any shape and name.
 */
#include "shadow.h"
#include "../helpers.h"

#include <errno.h>
#include <string.h>

static struct {
	struct rn_cache *cache;
	struct rn_cache_args args;
} caches[NR_CACHES];

static const char made[CTOR_BYTES] = "madeonce";

static void ctor(void *object)
{
	memcpy(object, made, CTOR_BYTES);
}

bool ctor_bytes_ok(const void *p)
{
	return !memcmp(p, made, CTOR_BYTES);
}

/* --- making and giving up --- */

static bool is_power_of_2(size_t n)
{
	return n && !(n & (n - 1));
}

/* Is there a name behind the words that are no part of it, each at most once? */
static bool has_name(const char *name)
{
	static const char *const tags[] = { "struct ", "union ", "class " };

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		if (!strncmp(name, tags[i], strlen(tags[i])))
			name += strlen(tags[i]);
	return *name;
}

static bool is_good(const char *name, const struct rn_cache_args *a)
{
	return has_name(name) && a->size && a->size <= 65536 && a->align <= 4096 &&
		(!a->align || is_power_of_2(a->align)) &&
		!(a->flags & ~(RN_NOMERGE | RN_HWCACHE_ALIGN)) &&
		a->useroffset <= a->size && a->usersize <= a->size &&
		a->useroffset + a->usersize <= a->size;
}

static struct rn_cache_args take_args(struct input *in)
{
	static const size_t aligns[] = {
		0, 0, 1, 2, 8, 16, 64, 256, 4096, 3, 8192, SIZE_MAX,
	};
	struct rn_cache_args a = { .sz = sizeof(a), .size = take_size(in) };
	uint8_t how = take(in);

	a.align = aligns[take_below(in, ARRAY_LEN(aligns))];
	a.flags = how & (RN_NOMERGE | RN_HWCACHE_ALIGN);
	if ((how & 0xf0) == 0xf0)
		a.flags |= 0x8000;
	if (how & 4 && a.size >= CTOR_BYTES)
		a.ctor = ctor;
	if ((how & 0x18) == 0x18) {
		a.useroffset = take(in);
		a.usersize = take(in);
	}
	return a;
}

static void take_name(struct input *in, char *name, size_t room)
{
	size_t n = take_below(in, room);

	for (size_t i = 0; i < n; i++)
		name[i] = (char)take(in);
	name[n] = '\0';
}

static void make(struct input *in, unsigned int i)
{
	struct rn_cache_args a = take_args(in);
	char name[80];

	take_name(in, name, sizeof(name));
	errno = 0;
	caches[i].cache = rn_cache_create(name, &a);
	caches[i].args = a;
	if (!caches[i].cache) {
		sure(errno == (is_good(name, &a) ? ENOMEM : EINVAL));
		sure(errno == EINVAL || hard_limit);
		return;
	}
	sure(is_good(name, &a));
	sure(rn_cache_size(caches[i].cache) >= a.size);
	sure(*rn_cache_name(caches[i].cache));
}

static bool is_shared(unsigned int i)
{
	for (unsigned int k = 0; k < NR_CACHES; k++)
		if (k != i && caches[k].cache == caches[i].cache)
			return true;
	return false;
}

/* Objects stay where they are, also when the other users of them go. */
static void hand_over(unsigned int i)
{
	unsigned int k = 0;

	while (k == i || caches[k].cache != caches[i].cache)
		k++;
	for (int n = 0; n < NR_OBJECTS; n++)
		if (objects[n].p && objects[n].origin == BY_CACHE &&
		    objects[n].owner == i)
			objects[n].owner = k;
}

/* With the classes, too: then it is refused when it is nobody's any more. */
static void destroy(unsigned int i)
{
	int ret;

	if (is_shared(i))
		hand_over(i);
	if (live_in(BY_CACHE, i))
		stderr_catch();
	ret = rn_cache_destroy(caches[i].cache);
	if (live_in(BY_CACHE, i))
		free(stderr_caught());
	if (ret == -EBUSY) {
		sure(live_in(BY_CACHE, i));
		return;
	}
	sure(!ret);
	for (int n = 0; n < NR_OBJECTS; n++)
		if (objects[n].p && objects[n].origin == BY_CACHE &&
		    objects[n].owner == i)
			objects[n].origin = BY_SIZE;
	caches[i].cache = NULL;
}

/* --- objects --- */

static size_t align_of(unsigned int i)
{
	size_t align = caches[i].args.align;

	if (caches[i].args.flags & RN_HWCACHE_ALIGN && align < 64 &&
	    caches[i].args.size > 32)
		align = 64;
	return align > 8 ? align : 8;
}

static void took(unsigned int i, void *p, const struct request *r)
{
	struct object *o = free_place(r->size);

	if (!o) {
		rn_cache_free(caches[i].cache, p);
		return;
	}
	*o = (struct object){
		.p = p, .asked = r->size, .usable = rn_size(p),
		.origin = BY_CACHE, .owner = i,
		.from = caches[i].args.ctor ? CTOR_BYTES : 0,
	};
	sure(o->usable == rn_cache_size(caches[i].cache));
	object_is_new(o, r, align_of(i));
}

/* RN_HUGETLB is for caches that are made with it. */
static struct request take_cache_request(struct input *in, unsigned int i)
{
	struct request r = take_request(in);

	r.size = caches[i].args.size;
	if (caches[i].args.ctor)
		r.flags &= ~RN_ZERO;
	if (r.flags & RN_HUGETLB)
		r.flags ^= RN_HUGETLB;
	return r;
}

static void alloc(struct input *in, unsigned int i)
{
	struct request r = take_cache_request(in, i);
	struct rn_cache *c = caches[i].cache;
	void *p;

	errno = 0;
	if (r.node != RN_NO_NODE)
		p = rn_cache_alloc_node(c, r.flags, r.node);
	else if (r.flags & RN_ZERO)
		p = rn_cache_zalloc(c, r.flags & ~RN_ZERO);
	else
		p = rn_cache_alloc(c, r.flags);
	if (p)
		took(i, p, &r);
	else
		refused(&r, false);
}

static void alloc_bulk(struct input *in, unsigned int i)
{
	struct request r = take_cache_request(in, i);
	size_t n = take_below(in, 24), got;
	void *p[24];

	r.node = RN_NO_NODE;
	errno = 0;
	got = rn_cache_alloc_bulk(caches[i].cache, r.flags, n, p);
	sure(got <= n);
	if (got < n)
		refused(&r, false);
	for (size_t k = 0; k < got; k++)
		took(i, p[k], &r);
}

void cache_object_free(struct object *o, unsigned int how)
{
	struct rn_cache *c = caches[o->owner].cache;

	switch (how % 3) {
	case 0:
		rn_cache_free(c, o->p);
		break;
	case 1:
		rn_cache_free_bulk(c, 1, (void *[]){ o->p });
		break;
	default:
		rn_free(o->p);
	}
}

static void check(struct input *in, unsigned int i)
{
	const struct rn_cache_args *a = &caches[i].args;
	const struct object *o = any_object(in);
	size_t at = take(in), len = take(in), from = 0, size;

	if (!o->p || o->origin != BY_CACHE || o->owner != i)
		return;
	size = o->usable;
	if (a->useroffset || a->usersize) {
		from = a->useroffset;
		size = a->usersize;
	}
	if (at < o->usable)
		sure(rn_check_object(o->p + at, len) ==
		     (at >= from && at + len <= from + size ? 0 : -EFAULT));
}

void cache_step(struct input *in)
{
	unsigned int i = take_below(in, NR_CACHES), what = take_below(in, 8);

	if (!caches[i].cache)
		make(in, i);
	else if (what == 0)
		destroy(i);
	else if (what == 1)
		sure(!rn_cache_shrink(caches[i].cache));
	else if (what == 2)
		check(in, i);
	else if (what == 3)
		alloc_bulk(in, i);
	else
		alloc(in, i);
}

void caches_end(void)
{
	for (unsigned int i = 0; i < NR_CACHES; i++) {
		sure(!rn_cache_destroy(caches[i].cache));
		caches[i].cache = NULL;
	}
}

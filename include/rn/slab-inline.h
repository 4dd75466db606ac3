/* SPDX-License-Identifier: MIT */
/*
 * Opt-in: include this after or instead of <rn/slab.h>, and rn_alloc() of
 * a size that is known at compile time, without flags, picks its class then.
 *
 * The numbering of classes is compiled into the program by this; the name of
 * the function it calls carries its version, so that a program linked with a
 * library that counts otherwise does not link (or start) rather than err.
 */
#ifndef RN_SLAB_INLINE_H
#define RN_SLAB_INLINE_H

#include <rn/slab.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The largest size that has a class, in bytes. */
#define RN_CLASS_MAX	65536

/*
 * The class of a size from 1 to RN_CLASS_MAX, counted from 1. Steps of 8 bytes
 * up to 64, 16 up to 256, then eight classes for each doubling up to 2 KiB and
 * four above (Documentation/mm/size-classes.rst).
 */
#define RN_CLASS(s)							\
	((s) <= 64 ? ((s) + 7) / 8 :					\
	 (s) <= 256 ? 8 + ((s) - 64 + 15) / 16 :			\
	 (s) <= 512 ? 20 + ((s) - 256 + 31) / 32 :			\
	 (s) <= 1024 ? 28 + ((s) - 512 + 63) / 64 :			\
	 (s) <= 2048 ? 36 + ((s) - 1024 + 127) / 128 :			\
	 (s) <= 4096 ? 44 + ((s) - 2048 + 511) / 512 :			\
	 (s) <= 8192 ? 48 + ((s) - 4096 + 1023) / 1024 :		\
	 (s) <= 16384 ? 52 + ((s) - 8192 + 2047) / 2048 :		\
	 (s) <= 32768 ? 56 + ((s) - 16384 + 4095) / 4096 :		\
			60 + ((s) - 32768 + 8191) / 8192)
#define RN_NR_CLASSES	64

/**
 * rn_alloc_class_v3() - rn_alloc() for a class
 * @size: bytes, as for rn_alloc()
 * @class_: RN_CLASS(@size)
 *
 * Context: as rn_alloc(). Meant to be called through the macros below.
 * Return: as rn_alloc() without flags.
 */
void *rn_alloc_class_v3(size_t size, size_t class_) RN_MALLOC RN_SIZED(1);

#define rn_alloc(size, flags)						\
	(__builtin_constant_p(size) && (size) - 1UL < RN_CLASS_MAX &&	\
	 __builtin_constant_p(flags) && (flags) == 0 ?			\
	 rn_alloc_class_v3(size, RN_CLASS(size)) :			\
	 (rn_alloc)(size, flags))

#ifdef __cplusplus
}
#endif

#endif /* RN_SLAB_INLINE_H */

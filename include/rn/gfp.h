/* SPDX-License-Identifier: MIT */
/*
 * Allocation flags, named after the kernel's gfp_t.
 */
#ifndef RN_GFP_H
#define RN_GFP_H

/**
 * typedef rn_gfp_t - how an allocation is to be carried out
 *
 * A bitwise or of the RN_* flags below; 0 (RN_KERNEL) is the default. A flag
 * that is not listed here makes the call fail with EINVAL.
 */
typedef unsigned int rn_gfp_t;

/* Local node first, other nodes if it is full, may bring up memory. */
#define RN_KERNEL	0x00u
/* The memory is zeroed. */
#define RN_ZERO		0x01u
/* Only from memory that is already up: no mapping, no populating. */
#define RN_NOWAIT	0x02u
/*
 * Do not return NULL for want of memory: shrink and try again, with a pause
 * that doubles up to 100 ms, until there is some. A request that can never be
 * met (a size above RN_MAX_SIZE, a bad flag) is a fatal report instead.
 */
#define RN_NOFAIL	0x04u
/* Only from the node asked for (or the local one): no other node. */
#define RN_THISNODE	0x08u
/* Only memory backed by hugetlb pages: no other rung of the ladder. */
#define RN_HUGETLB	0x10u

/* Decline rather than shrink, and so soon; memory may be brought up. */
#define RN_NORETRY	0x20u
/*
 * Decline only after @n rounds of shrinking and trying again, 1 to 255; 0 is
 * the default, one round. More follow as long as shrinkers give something up; there
 * are pauses, as for RN_NOFAIL, when they do not. RN_NOWAIT, RN_NORETRY and
 * RN_NOFAIL win over it.
 */
#define RN_RETRIES(n)	((rn_gfp_t)(n) << 8)

#define RN_GFP_MASK	0xff3fu

/* The node argument that means "the node of the CPU that asks". */
#define RN_NO_NODE	(-1)

#endif /* RN_GFP_H */

/* SPDX-License-Identifier: MIT */
/*
 * libslab: failures on purpose, to try what a program does without memory.
 * Documentation/dev-tools/fault-injection.rst has the names and keys.
 */
#ifndef RN_FAULT_INJECT_H
#define RN_FAULT_INJECT_H

#ifdef __cplusplus
extern "C" {
#endif

int rn_fault_set(const char *name, const char *how);
long rn_fault_count(const char *name);
void rn_fault_task(int on);
int rn_fault_check(void);

#ifdef __cplusplus
}
#endif

#endif /* RN_FAULT_INJECT_H */

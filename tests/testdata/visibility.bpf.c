/* Linkage and visibility: which symbols are variables a user may name, and which only look like it.
 * Visible are the global_* and weak_* ones, `unused`, `folded` and `table`.
 */
#include <linux/types.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define __hidden_var __attribute__((visibility("hidden")))
#define __internal_var __attribute__((visibility("internal")))

/* .data */
__u32 global_data = 1;
static volatile __u32 static_data = 2;
__hidden_var __u32 hidden_data = 3;
__weak __u32 weak_data = 4;
__internal_var __u32 internal_data = 5;

/* .bss */
__u32 global_bss;
static volatile __u32 static_bss;
__hidden_var __u32 hidden_bss;
__weak __u32 weak_bss;

/* .rodata */
const volatile __u32 global_ro = 11;
static const volatile __u32 static_ro = 12;
__hidden_var const volatile __u32 hidden_ro = 13;
__weak const volatile __u32 weak_ro = 14;
const __u32 folded = 7;                    /* clang puts the 7 into the code: nothing refers to it */
const __u32 table[4] = { 3, 5, 7, 9 };     /* const as well, but read by index: referred to */

__u64 unused = 99; /* writable, and nothing refers to it */

/* a section in which nothing is visible: not mmapable */
static volatile __u32 only_static SEC(".data.private") = 21;

extern int LINUX_KERNEL_VERSION __kconfig;
extern const int CONFIG_HZ __kconfig __weak;
extern const bool CONFIG_BPF_SYSCALL __kconfig __weak;
extern const int CONFIG_NO_SUCH_OPTION __kconfig __weak;
extern const void bpf_fentry_test1 __ksym __weak;
extern const void no_such_symbol __ksym __weak;

/* Adds 1 to everything writable; returns the sum of the constants plus its own count (100, 101, ...). */
SEC("syscall")
int first(void *ctx)
{
	static volatile __u32 counter = 100;

	global_data += 1;
	static_data += 1;
	hidden_data += 1;
	weak_data += 1;
	internal_data += 1;
	global_bss += 1;
	static_bss += 1;
	hidden_bss += 1;
	weak_bss += 1;
	only_static += 1;
	return global_ro + static_ro + hidden_ro + weak_ro + folded + table[global_bss & 3] + counter++;
}

/* The same local name as in `first`. Returns the sum of the static variables. */
SEC("syscall")
int second(void *ctx)
{
	static volatile __u32 counter = 200;

	counter++;
	return static_data + static_bss + static_ro + only_static + counter;
}

SEC("syscall")
int read_hz(void *ctx)
{
	return CONFIG_HZ;
}

/* 1: BPF is configured, 2: an unknown option is 0, 4: the kernel's version is set, 8: a ksym resolved, 16: one did not. */
SEC("syscall")
int externs(void *ctx)
{
	int found = 0;

	if (CONFIG_BPF_SYSCALL)
		found |= 1;
	if (CONFIG_NO_SUCH_OPTION == 0)
		found |= 2;
	if (LINUX_KERNEL_VERSION > 0)
		found |= 4;
	if (&bpf_fentry_test1)
		found |= 8;
	if (!&no_such_symbol)
		found |= 16;
	return found;
}

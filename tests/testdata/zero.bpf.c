/* Variables without a size, or with more bytes than their type says, next to normal ones. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct empty {};

struct flexible {
	__u32 count;
	__u8 items[];
};

struct zero_length {
	__u32 count;
	__u16 items[0];
};

/* .data */
__u32 before = 1;
struct flexible flexible = { .count = 3, .items = { 7, 8, 9 } };
struct zero_length zero_length = { .count = 4 };
__u32 after = 2;

/* .bss */
__u64 normal;
__u32 no_items[0];
struct empty empty;
__u64 also_normal;

/* normal += before, also_normal += after; returns flexible.count */
SEC("syscall")
int use(void *ctx)
{
	normal += before;
	also_normal += after;
	return flexible.count;
}

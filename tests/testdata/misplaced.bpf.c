/* Variables that clang 14 lists in BTF under .data while their symbols lie in .bss: zero-initialised unions and structs
 * with padding. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

union word {
	__u32 a;
	__u8 b[8];
};

struct padded {
	__u64 big;
	__u8 small;
};

union word zero_word = { 0 };
struct padded zero_padded = { 0 };
__u32 plain_zero = 0;
union word set_word = { .a = 7 };

SEC("syscall")
int touch(void *ctx)
{
	zero_word.a += 1;
	zero_padded.small += 2;
	plain_zero += 3;
	return set_word.a;
}

char LICENSE[] SEC("license") = "GPL";

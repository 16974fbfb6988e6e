/* Enums of 8 bytes (BTF_KIND_ENUM64). Built with a newer clang, because clang 14 cuts the values to 32 bits. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

enum wide { WIDE_NONE = 0, WIDE_BIG = 1ULL << 40, WIDE_ALL = 0xFFFFFFFFFFFFFFFFULL };
enum wide_signed { WIDE_MIN = -(1LL << 40), WIDE_ZERO = 0, WIDE_MAX = 1LL << 40 };

enum wide wide_var = WIDE_BIG;
enum wide_signed wide_signed_var = WIDE_MIN;
const volatile enum wide ro_wide = WIDE_ALL;

/* wide_var = ro_wide; wide_signed_var = WIDE_MAX */
SEC("syscall")
int widen(void *ctx)
{
	wide_var = ro_wide;
	wide_signed_var = WIDE_MAX;
	return 0;
}

/* Second half of linked.bpf.o: uses the variable and the map of link_a. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

extern __u64 shared;

__u32 only_b = 2;
__u8 zero_b;
static volatile __u32 local = 200;
const volatile __u32 ro_b = 20;

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 2);
} shared_map SEC(".maps");

/* shared += ro_b, shared_map[1] += 1, only_b, zero_b and its own local += 1; returns local */
SEC("syscall")
int run_b(void *ctx)
{
	__u32 key = 1;
	__u64 *value = bpf_map_lookup_elem(&shared_map, &key);

	if (value)
		*value += 1;
	shared += ro_b;
	only_b += 1;
	zero_b += 1;
	return ++local;
}

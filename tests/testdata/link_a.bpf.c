/* First half of linked.bpf.o: defines the variable `shared` and the map `shared_map`. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

__u64 shared = 5;
__u32 only_a = 1;
__u32 zero_a;
static volatile __u32 local = 100; /* link_b has one of the same name */
const volatile __u32 ro_a = 10;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 2);
} shared_map SEC(".maps");

/* shared += ro_a, shared_map[0] += 1, only_a, zero_a and its own local += 1; returns local */
SEC("syscall")
int run_a(void *ctx)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&shared_map, &key);

	if (value)
		*value += 1;
	shared += ro_a;
	only_a += 1;
	zero_a += 1;
	return ++local;
}

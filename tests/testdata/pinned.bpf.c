/* A map that is pinned by its name, next to one that is not. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} pinned SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} unpinned SEC(".maps");

/* pinned[1] += 1 (it starts at 1), unpinned[0] += 1 */
SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 one = 1, zero = 0;
	__u64 first = 1, *value;

	value = bpf_map_lookup_elem(&pinned, &one);
	if (value)
		*value += 1;
	else
		bpf_map_update_elem(&pinned, &one, &first, BPF_ANY);
	value = bpf_map_lookup_elem(&unpinned, &zero);
	if (value)
		*value += 1;
	return XDP_PASS;
}

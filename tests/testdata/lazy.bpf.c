/* Good objects next to ones that can never be created: a lazy load of the good ones must succeed. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

__u64 good_var;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 16);
} good_map SEC(".maps");

/* The kernel refuses a hash map without entries. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 0);
} broken_map SEC(".maps");

/* Nothing refers to it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 4);
} spare_map SEC(".maps");

/* Counts in good_var and writes the count to good_map[1]. */
SEC("xdp")
int good(struct xdp_md *ctx)
{
	__u32 key = 1;
	__u64 count = ++good_var;

	bpf_map_update_elem(&good_map, &key, &count, BPF_ANY);
	return XDP_PASS;
}

/* The verifier always rejects it. */
SEC("xdp")
int broken(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	return data[13] == 8 ? XDP_DROP : XDP_PASS; /* the failing line: no bounds check */
}

/* Nothing wrong with it but its map. */
SEC("xdp")
int broken_user(struct xdp_md *ctx)
{
	__u32 key = 1;
	__u64 value = 2;

	bpf_map_update_elem(&broken_map, &key, &value, BPF_ANY);
	return XDP_PASS;
}

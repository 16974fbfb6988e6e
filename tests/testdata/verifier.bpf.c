/* Each program has one mistake that the verifier finds; `valid` has none. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 4);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

__u32 slots[8];

SEC("xdp")
int valid(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int no_bounds(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	return data[12] == 8 ? XDP_DROP : XDP_PASS; /* fails: no comparison with data_end */
}

SEC("xdp")
int null_map(struct xdp_md *ctx)
{
	__u32 key = 1;
	__u64 *value = bpf_map_lookup_elem(&table, &key);

	*value += 1; /* fails: value may be NULL */
	return XDP_PASS;
}

SEC("xdp")
int uninit(struct xdp_md *ctx)
{
	int result;

	asm volatile("%0 = r5" : "=r"(result)); /* fails: nothing has set r5 */
	return result;
}

SEC("xdp")
int bad_index(struct xdp_md *ctx)
{
	return slots[ctx->rx_queue_index]; /* fails: the index has no upper bound */
}

SEC("xdp")
int bad_helper(struct xdp_md *ctx)
{
	return bpf_skb_load_bytes(ctx, 0, &slots, 4); /* fails: not for XDP */
}

SEC("xdp")
int leak(struct xdp_md *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (record)
		*record = 1;
	return XDP_PASS; /* fails: record was neither submitted nor discarded */
}

SEC("cgroup_skb/ingress")
int bad_return(struct __sk_buff *skb)
{
	return 77; /* fails: only 0 and 1 are allowed */
}

SEC("xdp")
int long_log(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	__u64 i;

	for (i = 0; i < 3000; i++)
		asm volatile("" : "+r"(i)); /* the log tells of every round */
	return data[0]; /* fails: no comparison with data_end */
}

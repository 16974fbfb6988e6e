/* One map of each kind. libbpf loads this object only after the key and value sizes of `ring` are set to 0. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct stats {
	__u64 packets;
	__u64 bytes;
};

struct event {
	__u64 stamp;
	__u32 kind;
	char comm[16]; /* 4 bytes of padding follow */
};

struct prefix {
	__u32 prefixlen;
	__u8 address[4];
};

/* Keeps the type of the ring's records in BTF, as objects written for libbpf do. */
const struct event *unused_event;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(max_entries, 64);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_MMAPABLE);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(key_size, 4);
	__uint(value_size, 8);
	__uint(max_entries, 16);
} sized SEC(".maps");

typedef struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, __u16);
	__uint(max_entries, 4);
} hidden_map;
typedef hidden_map hidden_map_twice;
hidden_map_twice hidden_def SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 32);
} lru SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 2);
} percpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(max_entries, 8);
} percpu_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__type(value, struct event);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8192);
} plain_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct prefix);
	__type(value, __u32);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} trie SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__type(value, __u32);
	__uint(max_entries, 8);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__type(value, __u32);
	__uint(max_entries, 8);
} stack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__type(value, __u32);
	__uint(max_entries, 16);
	__uint(map_extra, 3);
} bloom SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 2);
} inner_a SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 3);
	__array(values, struct inner);
} outer SEC(".maps") = {
	.values = { [1] = &inner_a },
};

int leaf_first(struct xdp_md *ctx);
int leaf_last(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__uint(max_entries, 3);
	__array(values, int(struct xdp_md *));
} jmp SEC(".maps") = {
	.values = { [0] = &leaf_first, [2] = &leaf_last },
};

/* Tail call targets: jmp[0] and jmp[2]; jmp[1] stays empty. */
SEC("xdp")
int leaf_first(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp")
int leaf_last(struct xdp_md *ctx)
{
	return XDP_TX;
}

/* XDP_TX, by way of leaf_last; XDP_ABORTED if the slot is empty. */
SEC("xdp")
int tail(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &jmp, 2);
	return XDP_ABORTED;
}

/* flows[1]: one packet more, and its length. */
SEC("xdp")
int count_len(struct xdp_md *ctx)
{
	__u64 len = ctx->data_end - ctx->data;
	struct stats first = { 1, len }, *found;
	__u32 key = 1;

	found = bpf_map_lookup_elem(&flows, &key);
	if (found) {
		found->packets += 1;
		found->bytes += len;
	} else {
		bpf_map_update_elem(&flows, &key, &first, BPF_ANY);
	}
	return XDP_PASS;
}

/* An event to each of ring, plain_ring and the perf event array. */
SEC("xdp")
int emit(struct xdp_md *ctx)
{
	struct event event = { .stamp = 0x1122334455667788, .kind = 5, .comm = "emit" };

	bpf_ringbuf_output(&ring, &event, sizeof(event), 0);
	bpf_ringbuf_output(&plain_ring, &event, sizeof(event), 0);
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof(event));
	return XDP_PASS;
}

/* trie[10.0.0.0/8] = 8; queue and stack push 70 and 71; bloom gets 33. Sleepable programs may use none of these. */
SEC("xdp")
int store(struct xdp_md *ctx)
{
	struct prefix prefix = { 8, { 10, 0, 0, 0 } };
	__u32 v8 = 8, v70 = 70, v71 = 71, v33 = 33;

	bpf_map_update_elem(&trie, &prefix, &v8, BPF_ANY);
	bpf_map_push_elem(&queue, &v70, BPF_ANY);
	bpf_map_push_elem(&queue, &v71, BPF_ANY);
	bpf_map_push_elem(&stack, &v70, BPF_ANY);
	bpf_map_push_elem(&stack, &v71, BPF_ANY);
	bpf_map_push_elem(&bloom, &v33, BPF_ANY);
	return XDP_PASS;
}

/* flows[7] += (1 packet, 100 bytes); counters[3] += 1; sized[5] = 50; hidden_def[6] = 60; lru[9] = 90;
 * on this CPU percpu[0] += 1 and percpu_hash[4] = (1, 2); outer[1][0] (inner_a) += 1.
 * Returns flows[7].packets.
 */
SEC("syscall")
int touch(void *ctx)
{
	struct stats first = { 1, 100 }, pair = { 1, 2 }, *stats;
	__u32 k0 = 0, k1 = 1, k3 = 3, k4 = 4, k5 = 5, k7 = 7, k9 = 9;
	__u32 v90 = 90, packets = 1, *cpu;
	__u64 k6 = 6, v50 = 50, *count;
	__u16 v60 = 60;
	void *inside;

	stats = bpf_map_lookup_elem(&flows, &k7);
	if (stats) {
		stats->bytes += 100;
		packets = ++stats->packets;
	} else {
		bpf_map_update_elem(&flows, &k7, &first, BPF_ANY);
	}
	count = bpf_map_lookup_elem(&counters, &k3);
	if (count)
		*count += 1;
	bpf_map_update_elem(&sized, &k5, &v50, BPF_ANY);
	bpf_map_update_elem(&hidden_def, &k6, &v60, BPF_ANY);
	bpf_map_update_elem(&lru, &k9, &v90, BPF_ANY);
	cpu = bpf_map_lookup_elem(&percpu, &k0);
	if (cpu)
		*cpu += 1;
	bpf_map_update_elem(&percpu_hash, &k4, &pair, BPF_ANY);
	inside = bpf_map_lookup_elem(&outer, &k1);
	if (inside) {
		count = bpf_map_lookup_elem(inside, &k0);
		if (count)
			*count += 1;
	}
	return packets;
}

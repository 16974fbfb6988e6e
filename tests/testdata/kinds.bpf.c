/* Every kind of map with values that are structs, and a program for each family of them that reads and writes. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct stats {
	__u64 packets;
	__u64 bytes;
};

struct prefix {
	__u32 prefixlen;
	__u8 address[4];
};

struct guarded {
	struct bpf_spin_lock lock;
	__u64 packets;
	__u64 bytes;
};

struct task_struct;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(max_entries, 16);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(max_entries, 16384);
} big_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 16384);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(max_entries, 16);
} lru SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(max_entries, 16);
} cpu_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(max_entries, 16);
} cpu_lru SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_MMAPABLE);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(max_entries, 4);
} cpu_array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct prefix);
	__type(value, struct stats);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__type(value, struct stats);
	__uint(max_entries, 4);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__type(value, struct stats);
	__uint(max_entries, 4);
} stack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__type(value, struct stats);
	__uint(max_entries, 64);
	__uint(map_extra, 5);
} bloom SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(max_entries, 8);
} inner_a SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 4);
	__array(values, struct inner);
} by_index SEC(".maps") = {
	.values = { [1] = &inner_a },
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 4);
	__array(values, struct inner);
} by_key SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
	__uint(max_entries, 4);
} jumps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(key_size, 4);
	__uint(value_size, 127 * 8);
	__uint(max_entries, 64);
} traces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct guarded);
	__uint(max_entries, 4);
} locked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} tasks SEC(".maps");

static __always_inline __u32 touch(void *map)
{
	struct stats next = { 8, 800 }, *found;
	__u32 k7 = 7, k8 = 8, seen = 0;

	found = bpf_map_lookup_elem(map, &k7);
	if (found) {
		found->packets += 1;
		seen = found->packets;
	}
	bpf_map_update_elem(map, &k8, &next, BPF_ANY);
	return seen;
}

/* Of each hash: [7].packets += 1, [8] = (8, 800). Returns hash[7].packets + 16 * lru[7].packets. */
SEC("syscall")
int hashes(void *ctx)
{
	__u32 seen = touch(&hash) + 16 * touch(&lru);

	touch(&cpu_hash);
	touch(&cpu_lru);
	return seen;
}

/* array[3] and this CPU's cpu_array[1]: one packet more. Returns array[3].bytes. */
SEC("xdp")
int arrays(struct xdp_md *ctx)
{
	__u32 k3 = 3, k1 = 1, bytes = 0;
	struct stats *found;

	found = bpf_map_lookup_elem(&array, &k3);
	if (found) {
		found->packets += 1;
		bytes = found->bytes;
	}
	found = bpf_map_lookup_elem(&cpu_array, &k1);
	if (found)
		found->packets += 1;
	return bytes;
}

/* The route of 10.1.2.3: one packet more; 192.168.0.0/16 = (16, 1600). Returns the route's bytes. */
SEC("xdp")
int route(struct xdp_md *ctx)
{
	struct prefix address = { 32, { 10, 1, 2, 3 } }, network = { 16, { 192, 168, 0, 0 } };
	struct stats next = { 16, 1600 }, *found;
	__u32 bytes = 0;

	found = bpf_map_lookup_elem(&routes, &address);
	if (found) {
		found->packets += 1;
		bytes = found->bytes;
	}
	bpf_map_update_elem(&routes, &network, &next, BPF_ANY);
	return bytes;
}

/* Pops one of queue and of stack and pushes it with 100 packets more. Adds (3, 3) to bloom; returns 1 if (4, 4) is there. */
SEC("xdp")
int ends(struct xdp_md *ctx)
{
	struct stats value = {}, three = { 3, 3 }, four = { 4, 4 };

	if (!bpf_map_pop_elem(&queue, &value)) {
		value.packets += 100;
		bpf_map_push_elem(&queue, &value, BPF_ANY);
	}
	if (!bpf_map_pop_elem(&stack, &value)) {
		value.packets += 100;
		bpf_map_push_elem(&stack, &value, BPF_ANY);
	}
	bpf_map_push_elem(&bloom, &three, BPF_ANY);
	return !bpf_map_peek_elem(&bloom, &four);
}

/* As in hashes, in the maps by_index[2] and by_key[5]. Returns [7].packets of the first + 16 * the second. */
SEC("xdp")
int nested(struct xdp_md *ctx)
{
	__u32 k2 = 2, k5 = 5, seen = 0;
	void *inside;

	inside = bpf_map_lookup_elem(&by_index, &k2);
	if (inside)
		seen = touch(inside);
	inside = bpf_map_lookup_elem(&by_key, &k5);
	if (inside)
		seen += 16 * touch(inside);
	return seen;
}

SEC("xdp")
int land_drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp")
int land_tx(struct xdp_md *ctx)
{
	return XDP_TX;
}

/* What jumps[1] returns; XDP_ABORTED if nothing is there. */
SEC("xdp")
int jump(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &jumps, 1);
	return XDP_ABORTED;
}

/* locked[7]: one packet and 100 bytes more, under its lock. Returns whether it is there. */
SEC("xdp")
int lock_it(struct xdp_md *ctx)
{
	struct guarded *found;
	__u32 k7 = 7;

	found = bpf_map_lookup_elem(&locked, &k7);
	if (!found)
		return 0;
	bpf_spin_lock(&found->lock);
	found->packets += 1;
	found->bytes += 100;
	bpf_spin_unlock(&found->lock);
	return 1;
}

/* Takes a stack trace; hash[1] = (its number, 1). */
SEC("raw_tp")
int trace(void *ctx)
{
	struct stats value = { 0, 1 };
	__u32 k1 = 1;
	long id = bpf_get_stackid(ctx, &traces, 0);

	if (id < 0)
		return id;
	value.packets = id;
	bpf_map_update_elem(&hash, &k1, &value, BPF_ANY);
	return 0;
}

/* This task's own: one packet more. Returns its packets. */
SEC("raw_tp")
int task(void *ctx)
{
	struct stats *found;

	found = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!found)
		return 0;
	found->packets += 1;
	return found->packets;
}

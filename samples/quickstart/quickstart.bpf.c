/* Counts packets, and their bytes by IPv4 source address. Everything user space sees is a global variable or a map. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

__u64 pkt_count = 0;
const volatile __u32 ro_variable = 1; /* what each packet counts for; user space rewrites it before load */
char var_msg[] = "Hello World!";

struct stats {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32); /* the source address, in the byte order of the wire */
	__type(value, struct stats);
} flows SEC(".maps");

SEC("xdp")
int count_packets(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct stats fresh = {}, *stats;

	__sync_fetch_and_add(&pkt_count, ro_variable);
	var_msg[0] = 'J';

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;

	stats = bpf_map_lookup_elem(&flows, &ip->saddr);
	if (!stats) {
		bpf_map_update_elem(&flows, &ip->saddr, &fresh, BPF_NOEXIST);
		stats = bpf_map_lookup_elem(&flows, &ip->saddr);
		if (!stats)
			return XDP_PASS;
	}
	__sync_fetch_and_add(&stats->packets, 1);
	__sync_fetch_and_add(&stats->bytes, end - (void *)eth);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
